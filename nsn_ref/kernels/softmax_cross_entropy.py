"""Softmax cross-entropy: loss and softmax of a few rows at a time; the gradient in one pass."""

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import LabelError, OptionError
from nsn_ref.kernels.common import compiled, floats, output, plain, shapes
from nsn_ref.kernels.exponential import exp_in_place
from nsn_ref.kernels.sums import add
from nsn_ref.ops.softmax_cross_entropy import SoftmaxCrossEntropySaved
from nsn_ref.scalars import rows

CHUNK = 1024  # numbers whose exponentials are taken together


@compiled
def one_hot_loop(labels, has_ignored, ignored, on, off, t):
    """Target probabilities of labels; returns the rows that count and the first with a label out of range, or -1."""
    counted = 0
    for i in range(labels.size):
        label = labels[i]
        if has_ignored and label == ignored:
            t[i] = 0
        elif 0 <= label < t.shape[1]:
            t[i] = off
            t[i, label] += on
            counted += 1
        else:
            return counted, i
    return counted, -1


@compiled
def exponentials_loop(z, top, p):
    """P = exp(z - top), top the largest number of each row: softmax(z) = softmax(z - m) for any constant m."""
    some = max(1, CHUNK // z.shape[1])
    for first in range(0, z.shape[0], some):
        last = min(first + some, z.shape[0])
        for i in range(first, last):
            largest = z[i, 0]
            for j in range(1, z.shape[1]):
                largest = z[i, j] if z[i, j] > largest else largest
            for j in range(z.shape[1]):
                p[i, j] = z[i, j] - largest
            top[i] = largest
        exp_in_place(p[first:last].reshape(-1))


@compiled
def normalise_loop(z, top, t, p):
    """Turn p = exp(z - top) into the softmax of z; returns sum t (ln sum exp z - z), accumulated in float64."""
    loss = 0.0
    for i in range(z.shape[0]):
        total = p.dtype.type(0)
        for j in range(z.shape[1]):
            total = add(total, p[i, j])
        log_total = np.log(total)
        for j in range(z.shape[1]):
            loss = add(loss, float(t[i, j] * (log_total - (z[i, j] - top[i]))))
            p[i, j] /= total
    return loss


@compiled
def softmax_cross_entropy_backward_loop(p, t, scale, dz):
    """Dz = (p sum t - t) scale, row by row."""
    for i in range(p.shape[0]):
        mass = p.dtype.type(0)
        for j in range(p.shape[1]):
            mass = add(mass, t[i, j])
        for j in range(p.shape[1]):
            dz[i, j] = (p[i, j] * mass - t[i, j]) * scale


def softmax_cross_entropy_forward(z, targets, *, reduction="mean", ignore_index=None, label_smoothing=0.0):
    """As `nsn_ref.ops.softmax_cross_entropy_forward`."""
    name = "softmax_cross_entropy_forward"
    floats(name, z=z)
    checks.choice(name, "reduction", reduction, ("mean", "sum"))
    checks.not_empty(name, "z", z)
    t, counted = _targets(name, z, targets, ignore_index, label_smoothing)
    n = counted if reduction == "mean" else 1
    logits, p = plain(rows(z)), np.empty(z.shape, z.dtype)
    top = np.empty(len(logits), z.dtype)
    exponentials_loop(logits, top, rows(p))
    loss = normalise_loop(logits, top, plain(rows(t)), rows(p)) / n
    return z.dtype.type(loss), SoftmaxCrossEntropySaved(p, t, n)


def softmax_cross_entropy_backward(dloss, saved, *, out=None):
    """As `nsn_ref.ops.softmax_cross_entropy_backward`; `out` takes dz."""
    p, t, n = saved
    floats("softmax_cross_entropy_backward", p=p, t=t)
    shapes("softmax_cross_entropy_backward", t=(t, p.shape))
    dz = output("softmax_cross_entropy_backward", out, p.shape, p.dtype)
    softmax_cross_entropy_backward_loop(plain(rows(p)), plain(rows(t)), p.dtype.type(dloss / n), rows(dz))
    return dz


def _targets(name, z, targets, ignore_index, label_smoothing):
    """Target probabilities (..., C), and the number of rows that count."""
    classes, dtype = z.shape[-1], z.dtype.type
    on, off = dtype(1 - label_smoothing), dtype(label_smoothing / classes)
    if not isinstance(targets, np.ndarray) or targets.dtype.kind not in "iu":
        floats(name, z=z, targets=targets)
        shapes(name, targets=(targets, z.shape))
        if ignore_index is not None:
            raise OptionError(f"{name}: ignore_index is {ignore_index!r}, expected None beside soft targets")
        return targets * on + off if label_smoothing else targets, z.size // classes
    shapes(name, targets=(targets, z.shape[:-1]))
    labels, t = flat_labels(targets), np.empty(z.shape, dtype)
    counted, bad = one_hot_loop(
        labels, ignore_index is not None, -1 if ignore_index is None else ignore_index, on, off, rows(t)
    )
    if bad >= 0:
        raise LabelError(f"{name}: targets has the label {labels[bad]}, expected integers in 0..{classes - 1}")
    if counted == 0:
        raise LabelError(f"{name}: targets has no label but ignore_index = {ignore_index}, expected at least one")
    return t, counted


def flat_labels(targets):
    """Labels as contiguous int64 on one axis."""
    return plain(targets.astype(np.int64, copy=False)).reshape(-1)
