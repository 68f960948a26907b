"""Weights for `weighted_sum`, computed from the losses themselves and then held constant.

A weight that depends on a loss but is held constant ("detached") has no derivative. So the gradient of the weighted sum
with respect to the losses is the weights, which is what `weighted_sum_backward` returns, and these functions have no
backward.
"""

from nsn_ref import checks
from nsn_ref.scalars import exp, log_softmax, number, zeros


def analytic_weights(losses, ranks, R):
    """The weight 1 / L_k for each sampled rank (UW-O); ranks that were not sampled get 0.

    It is the weight exp(-s_k) of `objective` at its minimum over s_k, where s_k = ln L_k.

    Parameters
    ----------
    losses : ndarray, shape (K,), > 0
        One loss for each sampled rank, in the order of `ranks`.
    ranks : sequence of K ints, each in 1..R
        In any order. A rank listed twice takes the weight of its last loss.
    R : int, >= 1

    Returns
    -------
    weights : ndarray, shape (R,)
        Rank r has weights[r - 1].

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, OptionError

    Notes
    -----
    Source: Kirchdorfer et al., arXiv:2408.07985, sec. 4, "UW-O".

    Claims: OBJ-8.
    """
    _check("analytic_weights", losses, ranks, R)
    return _by_rank(1 / losses, ranks, R)


def softmax_weights(losses, ranks, R, *, temperature=1.0):
    """The softmax over the sampled ranks of 1 / (L_k T) (UW-SO): the weights sum to one.

    Parameters
    ----------
    losses : ndarray, shape (K,), > 0
        One loss for each sampled rank, in the order of `ranks`.
    ranks : sequence of K ints, each in 1..R
        In any order. A rank listed twice takes the weight of its last loss.
    R : int, >= 1
    temperature : float, > 0
        T: larger is nearer to equal weights.

    Returns
    -------
    weights : ndarray, shape (R,)
        Rank r has weights[r - 1]; ranks that were not sampled get 0.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, OptionError

    Notes
    -----
    Source: Kirchdorfer et al., arXiv:2408.07985, sec. 4, "UW-SO".
    """
    _check("softmax_weights", losses, ranks, R)
    checks.between("softmax_weights", "temperature", temperature, 0, open_low=True)
    weights = exp(log_softmax(1 / losses / number(temperature, like=losses)))
    return _by_rank(weights, ranks, R)


def _check(function, losses, ranks, R):
    checks.integer(function, "R", R, 1)
    checks.ranks(function, ranks, R)
    checks.arrays(function, losses=(losses, str(len(ranks))))
    checks.above_zero(function, "losses", losses)


def _by_rank(weights, ranks, R):
    out = zeros(R, weights)
    for r, weight in zip(ranks, weights, strict=True):
        out[r - 1] = weight
    return out
