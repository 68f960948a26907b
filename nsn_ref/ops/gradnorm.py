"""GradNorm: weights of the losses, learned so that every loss pulls on the shared parameters at a matching rate.

One step: `gradnorm_targets` gives the gradient norm that each loss should have; `gradnorm_forward` measures the
distance from it and `gradnorm_backward` its gradient for the weights; an optimiser moves the weights; `renormalised`
makes them sum to K again. The weights then enter `weighted_sum` as constants.
"""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import OptionError
from nsn_ref.scalars import exp, log, number, positive, where, zeros_like


class GradnormSaved(NamedTuple):
    """What the backward pass needs."""

    difference: np.ndarray  # (K,): weights * norms - targets
    norms: np.ndarray  # (K,)


def gradnorm_targets(weights, norms, losses, first_losses, *, alpha=1.5):
    """The gradient norm that each weighted loss should have: mean(G) r_k^alpha, with G_k = weights_k norms_k.

    r_k is the inverse training rate of loss k, L_k / first L_k, divided by its mean over the losses: a loss that has
    fallen less than the others is to pull harder. Targets are constants: no derivative passes through them.

    Parameters
    ----------
    weights : ndarray, shape (K,), > 0
    norms : ndarray, shape (K,), >= 0
        2-norm of the gradient of each loss, unweighted, with respect to the shared parameters.
    losses, first_losses : ndarray, shape (K,), > 0
        The losses now, and at the first step.
    alpha : float, >= 0
        How strongly the training rates are pulled together; 0 asks for equal norms.

    Returns
    -------
    targets : ndarray, shape (K,)

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError

    Notes
    -----
    Source: Chen et al., arXiv:1711.02257, sec. 3.1 and 3.2.
    """
    name = "gradnorm_targets"
    arrays = {"weights": weights, "norms": norms, "losses": losses, "first_losses": first_losses}
    checks.arrays(name, **{key: (array, "K") for key, array in arrays.items()})
    checks.not_empty(name, "weights", weights)
    checks.between(name, "alpha", alpha, 0)
    checks.above_zero(name, "losses", losses)
    checks.above_zero(name, "first_losses", first_losses)
    rate = losses / first_losses
    rate = rate / (rate.sum() / len(rate))
    mean_norm = (weights * norms).sum() / len(norms)
    return mean_norm * exp(number(alpha, like=rate) * log(rate))


def gradnorm_forward(weights, norms, targets):
    """Distance of the weighted gradient norms from their targets: sum_k |weights_k norms_k - targets_k|.

    Parameters
    ----------
    weights, norms, targets : ndarray, shape (K,)
        As in and from `gradnorm_targets`.

    Returns
    -------
    distance : number, >= 0
    saved : GradnormSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: Chen et al., arXiv:1711.02257, Eq. 2.
    """
    checks.arrays("gradnorm_forward", weights=(weights, "K"), norms=(norms, "K"), targets=(targets, "K"))
    difference = weights * norms - targets
    return (_sign(difference) * difference).sum(), GradnormSaved(difference, norms)


def gradnorm_backward(ddistance, saved):
    """Gradient with respect to the weights; norms and targets are constants.

    Parameters
    ----------
    ddistance : number
    saved : GradnormSaved

    Returns
    -------
    dweights : ndarray, shape (K,)
        Where a norm is on its target the derivative is taken as 0.

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError
    """
    difference, norms = saved
    checks.number("gradnorm_backward", "ddistance", ddistance, like=norms)
    return _sign(difference) * norms * ddistance  # difference = weights * norms - targets


def renormalised(weights):
    """Weights scaled to sum to their number, K.

    Parameters
    ----------
    weights : ndarray, shape (K,)
        Their sum must be positive.

    Returns
    -------
    ndarray, shape (K,)

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError

    Notes
    -----
    Source: Chen et al., arXiv:1711.02257, Algorithm 1, its last step.
    """
    checks.arrays("renormalised", weights=(weights, "K"))
    total = weights.sum()
    if not positive(total):
        raise OptionError(f"renormalised: weights sum to {total}, expected a sum > 0")
    return weights * (len(weights) / total)


def _sign(x):
    """1, 0 or -1 in the number system of x."""
    one = zeros_like(x) + 1
    return where(positive(x), one, where(positive(-x), -one, zeros_like(x)))
