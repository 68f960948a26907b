"""Weighted sum of the losses of K sampled ranks, with one weight per rank. Weights of one give the plain sum."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import at_ranks, sum_by_rank


class WeightedSumSaved(NamedTuple):
    """What the backward pass needs."""

    losses: np.ndarray  # (K,)
    weights: np.ndarray  # (R,)
    ranks: tuple  # K ranks


def weighted_sum_forward(losses, weights, ranks):
    """Sum over the sampled ranks of weight times loss.

    Parameters
    ----------
    losses : ndarray, shape (K,)
        One loss for each sampled rank, in the order of `ranks`.
    weights : ndarray, shape (R,)
        Weights by rank: rank r has weights[r - 1].
    ranks : sequence of K ints, each in 1..R
        In any order, duplicates allowed (each counts).

    Returns
    -------
    total : number
    saved : WeightedSumSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError

    Notes
    -----
    Source: arXiv:2509.17874v1, Table 1, the row of two cross-entropies, is this with weights of one.
    """
    checks.losses_at_ranks("weighted_sum_forward", losses, ranks, weights=weights)
    return (at_ranks(weights, ranks) * losses).sum(), WeightedSumSaved(losses, weights, tuple(ranks))


def weighted_sum_backward(dtotal, saved):
    """Gradients with respect to the losses and the weights; ranks that were not sampled get exactly zero.

    Weights computed from the losses but held constant (`nsn_ref.ops.loss_weights`) have no gradient to pass on: then
    dlosses is the whole gradient.

    Parameters
    ----------
    dtotal : number
    saved : WeightedSumSaved

    Returns
    -------
    dlosses : ndarray, shape (K,)
    dweights : ndarray, shape (R,)

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError

    Notes
    -----
    Claims: OBJ-8.
    """
    losses, weights, ranks = saved
    checks.number("weighted_sum_backward", "dtotal", dtotal, like=losses)
    dlosses = at_ranks(weights, ranks) * dtotal  # total = sum(at_ranks(weights, ranks) * losses)
    dweights = sum_by_rank(losses * dtotal, ranks, len(weights))
    return dlosses, dweights
