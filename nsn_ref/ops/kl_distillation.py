"""Distillation: T^2 KL(softmax(teacher_z / T) || softmax(z / T)), the teacher's probabilities being the target."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import exp, log_softmax, number


class KlDistillationSaved(NamedTuple):
    """What the backward pass needs."""

    p: np.ndarray  # (..., C): the student's probabilities
    q: np.ndarray  # (..., C): the teacher's
    log_ratio: np.ndarray  # (..., C): ln q - ln p
    temperature: object  # a number
    n: int  # what the sum is divided by: the rows for "mean", 1 for "sum"


def kl_distillation_forward(z, teacher_z, *, temperature=1.0, reduction="mean"):
    """Divergence of a student's softened probabilities from a teacher's, stable for logits of any size.

    The factor T^2 keeps the gradients of the same size at every temperature T.

    Parameters
    ----------
    z : ndarray, shape (n, C) or (n, T, C)
        The student's logits.
    teacher_z : ndarray, the shape of z
        The teacher's logits. For in-place distillation the teacher is constant: drop its gradient.
    temperature : float, > 0
    reduction : {"mean", "sum"}
        "mean" divides by the number of rows.

    Returns
    -------
    loss : number, >= 0, in nats times T^2
    saved : KlDistillationSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError

    Notes
    -----
    Source: Hinton, Vinyals & Dean, arXiv:1503.02531, sec. 2 (a cross-entropy there: it differs by the teacher's
    entropy); between widths of one network, Yu & Huang, arXiv:1903.05134, Algorithm 1.
    """
    name = "kl_distillation_forward"
    checks.choice(name, "reduction", reduction, ("mean", "sum"))
    checks.between(name, "temperature", temperature, 0, open_low=True)
    checks.arrays(name, z=(z, "... C"), teacher_z=(teacher_z, "... C"))
    checks.not_empty(name, "z", z)
    temperature = number(temperature, like=z)
    n = z.size // z.shape[-1] if reduction == "mean" else 1
    log_p, log_q = log_softmax(z / temperature), log_softmax(teacher_z / temperature)
    q, log_ratio = exp(log_q), log_q - log_p
    loss = (q * log_ratio).sum() * temperature * temperature / n
    return loss, KlDistillationSaved(exp(log_p), q, log_ratio, temperature, n)


def kl_distillation_backward(dloss, saved):
    """Gradients with respect to the student's and the teacher's logits.

    Parameters
    ----------
    dloss : number
        Cotangent of the loss.
    saved : KlDistillationSaved

    Returns
    -------
    dz, dteacher_z : ndarray, the shape of the logits

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError
    """
    p, q, log_ratio, temperature, n = saved
    checks.number("kl_distillation_backward", "dloss", dloss, like=p)
    scale = dloss * temperature / n  # T^2 of the loss, 1 / T of z / T
    dz = (p - q) * scale  # loss = sum q (log_q - log_p) T^2 / n
    divergence = (q * log_ratio).sum(axis=-1, keepdims=True)
    dteacher_z = q * (log_ratio - divergence) * scale  # q = exp(log_q), the softmax of teacher_z / T
    return dz, dteacher_z
