"""Softmax cross-entropy: -sum_c t_c ln softmax(z)_c, for integer labels or soft targets."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import LabelError, OptionError
from nsn_ref.scalars import exp, log_softmax, number, one_hot


class SoftmaxCrossEntropySaved(NamedTuple):
    """What the backward pass needs."""

    p: np.ndarray  # (..., C): softmax of the logits
    t: np.ndarray  # (..., C): target probabilities; a row of zeros where ignored
    n: int  # what the sum is divided by: the rows counted for "mean", 1 for "sum"


def softmax_cross_entropy_forward(z, targets, *, reduction="mean", ignore_index=None, label_smoothing=0.0):
    """Loss of logits against labels or soft targets, stable for logits of any size.

    Parameters
    ----------
    z : ndarray, shape (n, C) or (n, T, C)
        Logits.
    targets : ndarray
        Integer labels in 0..C-1, shape (n,) or (n, T); or target probabilities in the shape and dtype of z (taken as
        they are: rows that do not sum to one are legal).
    reduction : {"mean", "sum"}
        "mean" divides by the number of rows that are not ignored.
    ignore_index : int, optional
        Rows with this label count nothing; it may lie outside 0..C-1. Integer labels only.
    label_smoothing : float, in [0, 1]
        Targets become (1 - label_smoothing) t + label_smoothing / C.

    Returns
    -------
    loss : number, >= 0 for probabilities, in nats
    saved : SoftmaxCrossEntropySaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, LabelError, OptionError

    Notes
    -----
    Source: the L_k of arXiv:2509.17874v1, Eq. 1 (classification); smoothing as in arXiv:1512.00567, sec. 7.
    """
    name = "softmax_cross_entropy_forward"
    checks.choice(name, "reduction", reduction, ("mean", "sum"))
    checks.between(name, "label_smoothing", label_smoothing, 0, 1)
    t, counted = _targets(name, z, targets, ignore_index, label_smoothing)
    n = counted if reduction == "mean" else 1
    log_p = log_softmax(z)
    return -(t * log_p).sum() / n, SoftmaxCrossEntropySaved(exp(log_p), t, n)


def softmax_cross_entropy_backward(dloss, saved):
    """Gradient with respect to the logits; targets get none.

    Parameters
    ----------
    dloss : number
        Cotangent of the loss.
    saved : SoftmaxCrossEntropySaved

    Returns
    -------
    dz : ndarray, the shape of the logits

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError
    """
    p, t, n = saved
    checks.number("softmax_cross_entropy_backward", "dloss", dloss, like=p)
    return (p * t.sum(axis=-1, keepdims=True) - t) * (dloss / n)  # loss = sum t (ln sum exp z - z) / n


def _targets(name, z, targets, ignore_index, label_smoothing):
    """Target probabilities (..., C), and the number of rows that count."""
    if isinstance(targets, np.ndarray) and targets.dtype.kind in "iu":
        sizes = checks.arrays(name, z=(z, "... C"))
        counts = _counts(name, targets, sizes, ignore_index)
        t = one_hot(np.where(counts, targets, 0), sizes["C"], like=z)
    else:
        sizes = checks.arrays(name, z=(z, "... C"), targets=(targets, "... C"))
        if ignore_index is not None:
            raise OptionError(f"{name}: ignore_index is {ignore_index!r}, expected None beside soft targets")
        counts, t = np.ones(z.shape[:-1], dtype=bool), targets
    checks.not_empty(name, "z", z)
    if label_smoothing:
        smoothing = number(label_smoothing, like=z)
        t = (1 - smoothing) * t + smoothing / sizes["C"]
    return t * counts[..., None], int(counts.sum())


def _counts(name, labels, sizes, ignore_index):
    """The rows that are not ignored, as booleans; at least one of a batch that has any."""
    if ignore_index is None:
        checks.labels(name, "targets", labels, sizes["..."], sizes["C"])
        return np.ones(labels.shape, dtype=bool)
    checks.integer(name, "ignore_index", ignore_index)
    checks.labels(name, "targets", labels, sizes["..."], sizes["C"], ignore_index)
    counts = labels != ignore_index
    if labels.size and not counts.any():
        raise LabelError(f"{name}: targets has no label but ignore_index = {ignore_index}, expected at least one")
    return counts
