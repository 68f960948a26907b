"""Distillation: both softmaxes, the logarithm of their ratio and the loss in one pass; both gradients in another."""

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.common import compiled, floats, outputs, plain, shapes
from nsn_ref.kernels.softmax_cross_entropy import exponentials_loop
from nsn_ref.kernels.sums import add
from nsn_ref.ops.kl_distillation import KlDistillationSaved
from nsn_ref.scalars import rows


@compiled
def kl_distillation_forward_loop(z, teacher_z, top, teacher_top, p, q, log_ratio):
    """Turn exponentials p and q into softmaxes and fill ln q - ln p; returns sum q (ln q - ln p), in float64."""
    loss = 0.0
    for i in range(z.shape[0]):
        total, teacher_total = p.dtype.type(0), p.dtype.type(0)
        for j in range(z.shape[1]):
            total, teacher_total = add(total, p[i, j]), add(teacher_total, q[i, j])
        log_total, log_teacher_total = np.log(total), np.log(teacher_total)
        for j in range(z.shape[1]):
            p[i, j] /= total
            q[i, j] /= teacher_total
            log_p = z[i, j] - top[i] - log_total
            log_ratio[i, j] = teacher_z[i, j] - teacher_top[i] - log_teacher_total - log_p
            loss = add(loss, float(q[i, j] * log_ratio[i, j]))
    return loss


@compiled
def kl_distillation_backward_loop(p, q, log_ratio, scale, dz, dteacher_z):
    """Gradients of sum q (ln q - ln p), times `scale`."""
    for i in range(p.shape[0]):
        divergence = p.dtype.type(0)
        for j in range(p.shape[1]):
            divergence = add(divergence, q[i, j] * log_ratio[i, j])
        for j in range(p.shape[1]):
            dz[i, j] = (p[i, j] - q[i, j]) * scale
            dteacher_z[i, j] = q[i, j] * (log_ratio[i, j] - divergence) * scale


def kl_distillation_forward(z, teacher_z, *, temperature=1.0, reduction="mean"):
    """As `nsn_ref.ops.kl_distillation_forward`."""
    name = "kl_distillation_forward"
    checks.choice(name, "reduction", reduction, ("mean", "sum"))
    checks.between(name, "temperature", temperature, 0, open_low=True)
    floats(name, z=z, teacher_z=teacher_z)
    shapes(name, teacher_z=(teacher_z, z.shape))
    checks.not_empty(name, "z", z)
    temperature = float(temperature)
    n = z.size // z.shape[-1] if reduction == "mean" else 1
    p, q, log_ratio = (np.empty(z.shape, z.dtype) for _ in range(3))
    student, teacher = plain(rows(z)) / temperature, plain(rows(teacher_z)) / temperature
    tops = np.empty((2, len(student)), z.dtype)
    exponentials_loop(student, tops[0], rows(p))
    exponentials_loop(teacher, tops[1], rows(q))
    loss = kl_distillation_forward_loop(student, teacher, *tops, rows(p), rows(q), rows(log_ratio))
    return z.dtype.type(loss * temperature**2 / n), KlDistillationSaved(p, q, log_ratio, temperature, n)


def kl_distillation_backward(dloss, saved, *, out=None):
    """As `nsn_ref.ops.kl_distillation_backward`; `out` takes (dz, dteacher_z)."""
    name = "kl_distillation_backward"
    p, q, log_ratio, temperature, n = saved
    floats(name, p=p, q=q, log_ratio=log_ratio)
    shapes(name, q=(q, p.shape), log_ratio=(log_ratio, p.shape))
    dz, dteacher_z = outputs(name, out, p.dtype, p.shape, p.shape)
    scale = p.dtype.type(dloss * temperature / n)  # T^2 of the loss, 1 / T of z / T
    kl_distillation_backward_loop(
        plain(rows(p)), plain(rows(q)), plain(rows(log_ratio)), scale, rows(dz), rows(dteacher_z)
    )
    return dz, dteacher_z
