"""Weighted sum of K losses, in one pass over K numbers."""

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.common import compiled, floats, plain, shapes
from nsn_ref.ops.weighted_sum import WeightedSumSaved


@compiled
def weighted_sum_forward_loop(losses, weights, ranks):
    """Sum of weight times loss, accumulated in float64."""
    total = 0.0
    for k in range(ranks.size):
        total += weights[ranks[k] - 1] * losses[k]
    return total


@compiled
def weighted_sum_backward_loop(dtotal, losses, weights, ranks, dlosses, dweights):
    """Gradients of the losses and of the weights."""
    dweights[:] = 0
    for k in range(ranks.size):
        dlosses[k] = weights[ranks[k] - 1] * dtotal  # total = sum(weights[ranks - 1] * losses)
        dweights[ranks[k] - 1] += losses[k] * dtotal


def weighted_sum_forward(losses, weights, ranks):
    """As `nsn_ref.ops.weighted_sum_forward`."""
    _check("weighted_sum_forward", losses, weights, ranks)
    total = weighted_sum_forward_loop(plain(losses), plain(weights), np.array(ranks, np.int64))
    return losses.dtype.type(total), WeightedSumSaved(losses, weights, tuple(ranks))


def weighted_sum_backward(dtotal, saved):
    """As `nsn_ref.ops.weighted_sum_backward`."""
    losses, weights, ranks = saved
    _check("weighted_sum_backward", losses, weights, ranks)
    dlosses, dweights = np.empty(losses.shape, losses.dtype), np.empty(weights.shape, weights.dtype)
    ranks = np.array(ranks, np.int64)
    weighted_sum_backward_loop(losses.dtype.type(dtotal), plain(losses), plain(weights), ranks, dlosses, dweights)
    return dlosses, dweights


def _check(name, losses, weights, ranks):
    floats(name, losses=losses, weights=weights)
    checks.ranks(name, ranks, weights.size)
    shapes(name, losses=(losses, (len(ranks),)), weights=(weights, (weights.size,)))
