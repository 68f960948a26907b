"""One scalar from the losses at K ranks, and its gradients: the choice of objective.

What is weighed are K numbers, so weights that depend on the losses come from the reference on every engine.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import NonFiniteError, OptionError
from nsn_ref.ops.gradnorm import gradnorm_backward, gradnorm_forward, gradnorm_targets, renormalised
from nsn_ref.ops.loss_weights import analytic_weights, softmax_weights
from nsn_ref.ops.objective import VARIANTS
from nsn_ref.plain import make_plain
from nsn_ref.scalars import at_ranks, maximum, number, positive, where, zeros

OBJECTIVES = (*VARIANTS, "sum", "fixed", "analytic", "softmax", "gradnorm")
SMALLEST_WEIGHT = 1e-3  # GradNorm does not say what becomes of a weight that its step takes below zero


@dataclass(frozen=True)
class Objective:
    """How the losses of the sampled ranks become one number.

    ================================================  ================================================================
    kind                                              total
    ================================================  ================================================================
    "uncertainty", "classification", "bounded"        `nsn_ref.ops.objective`, with learned log-variances s
    "sum"                                             the losses, unweighted
    "fixed"                                           weights that are given
    "analytic"                                        weights 1 / L_k, held constant
    "softmax"                                         weights softmax(1 / (L_k temperature)), held constant
    "gradnorm"                                        weights learned by GradNorm, which sum to R over all ranks
    ================================================  ================================================================

    Parameters
    ----------
    kind : str
    weights : tuple of float, optional
        For "fixed", and only there: one for each rank 1..R.
    temperature : float, > 0
        For "softmax".
    alpha : float, >= 0
        For "gradnorm": how strongly training rates are pulled together.
    lr : float, > 0
        For "gradnorm": the rate of its own descent on the weights.

    Raises
    ------
    OptionError
    """

    kind: str = "uncertainty"
    weights: tuple | None = None
    temperature: float = 1.0
    alpha: float = 1.5
    lr: float = 0.025

    def __post_init__(self):
        make_plain(self)
        checks.choice("Objective", "kind", self.kind, OBJECTIVES)
        if not (isinstance(self.weights, tuple) if self.kind == "fixed" else self.weights is None):
            expected = "a weight for each rank 1..R" if self.kind == "fixed" else f"None for {self.kind!r}"
            raise OptionError(f"Objective: weights is {self.weights!r}, expected {expected}")
        for i, weight in enumerate(self.weights or ()):
            checks.between("Objective", f"weights[{i}]", weight, 0, open_high=True)
        checks.between("Objective", "temperature", self.temperature, 0, open_low=True, open_high=True)
        checks.between("Objective", "alpha", self.alpha, 0, open_high=True)
        checks.between("Objective", "lr", self.lr, 0, open_low=True, open_high=True)

    def start(self, R, like):
        """The state at the first step: GradNorm's weights and the first loss of each rank (0: none yet); else empty."""
        if self.kind != "gradnorm":
            return {}
        return {"weights": zeros(R, like) + 1, "first_losses": zeros(R, like)}


def as_objective(function, objective):
    """The objective itself, or that of the given kind with its defaults.

    Raises
    ------
    OptionError
    """
    if isinstance(objective, str):
        return Objective(objective)
    if not isinstance(objective, Objective):
        raise OptionError(f"{function}: objective is {objective!r}, expected an Objective or the name of one")
    return objective


def check_objective(function, net, objective):
    """Check that a network has what an objective needs.

    Raises
    ------
    OptionError
    """
    if objective.kind == "gradnorm" and net.shared == len(net.layers) - 1:
        raise OptionError(f"{function}: objective is 'gradnorm', expected a network with a layer after a nested one")
    if objective.weights is not None and len(objective.weights) != net.R:
        raise OptionError(f"{function}: objective has {len(objective.weights)} weights, expected R = {net.R}")


class Weighed(NamedTuple):
    """Total of the losses under an objective, its gradients, and the objective's next state."""

    total: object  # number
    dlosses: np.ndarray  # (K,)
    ds: np.ndarray  # (R,): zero where the objective has no log-variances
    state: dict  # str to ndarray


def weigh(objective, losses, s, ranks, ops, state, norms=None):
    """Weigh the losses of K ranks.

    Parameters
    ----------
    objective : Objective
    losses : ndarray, shape (K,)
    s : ndarray, shape (R,)
        Log-variances by rank.
    ranks : sequence of K ints
    ops : module
        `nsn_ref.ops` or `nsn_ref.kernels`.
    state : dict of str to ndarray
        From `Objective.start`, or of the step before.
    norms : ndarray, shape (K,), optional
        For "gradnorm": 2-norm of the gradient of each loss with respect to the last layer that all ranks share.

    Returns
    -------
    Weighed

    Raises
    ------
    OptionError, ShapeError, DTypeError, RankError
    NonFiniteError
        Also where a weight would be infinite, as that of a loss of zero is under "analytic".
    """
    if objective.kind in VARIANTS:
        total, saved = ops.objective_forward(losses, s, ranks, variant=objective.kind)
        return Weighed(total, *ops.objective_backward(number(1, like=losses), saved), state)
    if objective.kind in ("analytic", "softmax", "gradnorm") and not positive(losses).all():
        raise NonFiniteError(f"weigh: losses are {losses}, expected all > 0: {objective.kind!r} divides by them")
    if objective.kind == "gradnorm":
        state = _gradnorm_step(objective, losses, ranks, state, norms)
    weights = _weights(objective, losses, ranks, len(s), state)
    total, saved = ops.weighted_sum_forward(losses, weights, ranks)
    dlosses, _ = ops.weighted_sum_backward(number(1, like=losses), saved)
    return Weighed(total, dlosses, zeros(s.shape, s), state)


def _weights(objective, losses, ranks, R, state):
    """The weight of every rank, shape (R,)."""
    if objective.kind == "sum":
        return zeros(R, losses) + 1
    if objective.kind == "analytic":
        return analytic_weights(losses, ranks, R)
    if objective.kind == "softmax":
        return softmax_weights(losses, ranks, R, temperature=objective.temperature)
    if objective.kind == "gradnorm":
        return state["weights"]
    return zeros(R, losses) + np.array([number(weight, like=losses) for weight in objective.weights], losses.dtype)


def _gradnorm_step(objective, losses, ranks, state, norms):
    """One step of descent on the weights of the sampled ranks."""
    first = state["first_losses"].copy()
    index = np.array(ranks) - 1
    first[index] = where(positive(first[index]), first[index], losses)
    weights = at_ranks(state["weights"], ranks)
    targets = gradnorm_targets(weights, norms, losses, first[index], alpha=objective.alpha)
    _, saved = gradnorm_forward(weights, norms, targets)
    stepped = weights - number(objective.lr, like=weights) * gradnorm_backward(number(1, like=losses), saved)
    moved = state["weights"].copy()
    moved[index] = maximum(stepped, zeros(stepped.shape, stepped) + number(SMALLEST_WEIGHT, like=stepped))
    return {"weights": renormalised(moved), "first_losses": first}
