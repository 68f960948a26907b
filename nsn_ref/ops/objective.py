"""The objective over K sampled ranks: each rank's loss weighted by a learned uncertainty s = log sigma^2."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import at_ranks, exp, log1p, logistic, maximum, number, sum_by_rank, zeros_like

VARIANTS = ("uncertainty", "classification", "bounded")


class ObjectiveSaved(NamedTuple):
    """What the backward pass needs."""

    losses: np.ndarray  # (K,)
    s: np.ndarray  # (R,)
    w: np.ndarray  # (K,): the weight of each loss
    ranks: tuple  # K ranks
    variant: str


def objective_forward(losses, s, ranks, *, variant="uncertainty"):
    """Sum over the sampled ranks of a weight, falling in s, times the loss, plus a penalty, rising in s.

    ================  ==============  ============  ===========================================================
    variant           weight          penalty       source
    ================  ==============  ============  ===========================================================
    "uncertainty"     exp(-s)         s             arXiv:2509.17874v1, Eq. 3; unbounded below as a loss goes to 0
    "classification"  exp(-s)         s / 2         Kendall, Gal & Cipolla, arXiv:1705.07115, Eq. 10
    "bounded"         exp(-s) / 2     ln(1 + e^s)   Liebel & Koerner, arXiv:1805.06334, Eq. 3; never negative
    ================  ==============  ============  ===========================================================

    Minimised over s, "uncertainty" gives s_k = ln L_k and the weight 1 / L_k: a rank with a larger loss weighs less.

    Parameters
    ----------
    losses : ndarray, shape (K,)
        One loss for each sampled rank, in the order of `ranks`.
    s : ndarray, shape (R,)
        Log-variances by rank: rank r has s[r - 1].
    ranks : sequence of K ints, each in 1..R
        In any order, duplicates allowed (each counts).
    variant : {"uncertainty", "classification", "bounded"}

    Returns
    -------
    total : number
    saved : ObjectiveSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, OptionError

    Notes
    -----
    Source: arXiv:2509.17874v1, sec. 2.2.

    Claims: OBJ-1, OBJ-2, OBJ-3, OBJ-4, OBJ-5, OBJ-6, OBJ-7.
    """
    name = "objective_forward"
    checks.choice(name, "variant", variant, VARIANTS)
    checks.losses_at_ranks(name, losses, ranks, s=s)
    s_k = at_ranks(s, ranks)
    if variant == "uncertainty":
        w, penalty = exp(-s_k), s_k
    elif variant == "classification":
        w, penalty = exp(-s_k), s_k / 2
    else:
        w, penalty = exp(-s_k) / 2, _softplus(s_k)
    return (w * losses + penalty).sum(), ObjectiveSaved(losses, s, w, tuple(ranks), variant)


def objective_backward(dtotal, saved):
    """Gradients with respect to the losses and the log-variances; ranks that were not sampled get exactly zero.

    Parameters
    ----------
    dtotal : number
    saved : ObjectiveSaved

    Returns
    -------
    dlosses : ndarray, shape (K,)
    ds : ndarray, shape (R,)

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError

    Notes
    -----
    Source: the derivative of arXiv:2509.17874v1, Eq. 3, and of the variants.

    Claims: OBJ-1, OBJ-3, OBJ-4, OBJ-6, OBJ-7.
    """
    losses, s, w, ranks, variant = saved
    checks.number("objective_backward", "dtotal", dtotal, like=losses)
    dlosses = w * dtotal  # total = sum(w * losses + penalty)
    if variant == "uncertainty":
        dpenalty = 1  # penalty = s_k
    elif variant == "classification":
        dpenalty = number(1, like=s) / 2  # penalty = s_k / 2
    else:
        dpenalty = logistic(at_ranks(s, ranks))  # penalty = ln(1 + exp(s_k))
    ds_k = (dpenalty - w * losses) * dtotal  # w = c exp(-s_k), so dw = -w ds_k
    return dlosses, sum_by_rank(ds_k, ranks, len(s))


def _softplus(s):
    """ln(1 + e^s) without overflow."""
    m = maximum(s, zeros_like(s))
    return m + log1p(exp(s - 2 * m))
