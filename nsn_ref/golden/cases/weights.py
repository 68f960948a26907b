"""Cases of what weighs the losses (sums, weights from losses, GradNorm), of the regularisers and of optimiser steps."""

from functools import partial

import numpy as np

from nsn_ref.golden.cases.case import ALL, NO_PRODUCTS, Design
from nsn_ref.golden.cases.draws import designs, rising, signs, small
from nsn_ref.golden.cases.functions import integer_pairs, pairs, power_of_two
from nsn_ref.golden.cases.mlp_step import ADAMW


def positive(rng, *shape):
    """Positive numbers of different sizes."""
    return np.exp(0.7 * rng.standard_normal(shape))


# --- sums and weights of losses ---------------------------------------------------------------------------------------


def weighted(K, R, rng, dtype):
    """Losses, and a weight of either sign for each rank."""
    return {"losses": positive(rng, K), "weights": rng.standard_normal(R)}


def weighted_integers(K, R, rng, dtype):
    """Small integers, with large weights of ranks that are not listed."""
    return {"losses": small(rng, K), "weights": np.where(np.arange(R) < 4, small(rng, R), 64.0)}


_SUM = (
    ("by-rank-001", "certified", {"ranks": [5, 1, 11]}, partial(weighted, 3, 13), "weights by position",
     "The weight is looked up by position in the list of ranks, or by rank without subtracting 1."),
    ("duplicates-001", "certified", {"ranks": [4, 2, 4]}, partial(weighted, 3, 7), "duplicate ranks",
     "A rank that is listed twice counts once, or its second gradient overwrites the first."),
    ("one-rank-001", "certified", {"ranks": [5]}, partial(weighted, 1, 7), "one rank",
     "With K = 1 the axis of the ranks is lost, or the total is a mean."),
    ("integers-001", "exact", {"ranks": [2, 4, 2, 1]}, partial(weighted_integers, 4, 7), "unused weights",
     "Weights of ranks that are not listed take part, or get a gradient that is not exactly zero.", power_of_two),
)  # fmt: skip


def losses(K, rng, dtype):
    """Positive losses."""
    return {"losses": positive(rng, K)}


def near_zero(rng, dtype):
    """One loss is small, so that its weight is large and the softmax saturates."""
    return {"losses": np.array([0.06, 0.9, 1.3]) * (1 + 0.05 * rng.random(3))}


def gradnorm(K, rng, dtype):
    """Weights, norms, losses and first losses; targets on either side of weights * norms."""
    weights, norms = positive(rng, K), positive(rng, K)
    targets = weights * norms * np.where(np.arange(K) % 2, 0.6, 1.7)
    return {
        "weights": weights, "norms": norms, "losses": positive(rng, K), "first_losses": positive(rng, K) + 1,
        "targets": targets,
    }  # fmt: skip


def on_target(rng, dtype):
    """Small integers; the second norm is on its target, where the derivative is 0."""
    weights, norms = np.array([1.0, 2.0, 3.0, 2.0]), np.array([2.0, 4.0, 1.0, 3.0])
    return {"weights": weights, "norms": norms, "targets": np.array([1.0, 8.0, 7.0, 4.0])}


_GRADNORM = (
    ("real-001", "certified", {}, partial(gradnorm, 5), "sign of the distance",
     "The absolute value is a square, or its derivative lacks the sign."),
    ("one-loss-001", "certified", {}, partial(gradnorm, 1), "one loss",
     "With K = 1 the axis of the losses is lost."),
    ("on-target-001", "exact", {}, on_target, "derivative at zero",
     "Where a norm is on its target the derivative is 1 or -1 instead of 0.", power_of_two),
)  # fmt: skip


def one_way(op, name, attrs, draw, flag, why, lane="certified", formats=NO_PRODUCTS):
    """A design of an operation without a backward."""
    return Design(op, name, lane, attrs, draw, flag, why, formats)


_WEIGHTS = (
    one_way("analytic_weights", "by-rank-001", {"ranks": [5, 1, 7], "R": 11}, partial(losses, 3), "weights by position",
            "Weights are placed by position in the list of ranks, or ranks that were not drawn get 1."),
    one_way("analytic_weights", "duplicates-001", {"ranks": [4, 2, 4], "R": 7}, partial(losses, 3), "duplicate ranks",
            "A rank listed twice takes the first of its losses, or their sum, instead of the last."),
    one_way("softmax_weights", "by-rank-001", {"ranks": [6, 2, 3], "R": 7, "temperature": 1.0}, partial(losses, 3),
            "softmax of the losses", "The softmax is that of the losses, or of their negatives."),
    one_way("softmax_weights", "temperature-001", {"ranks": [3, 7], "R": 11, "temperature": 2.5}, partial(losses, 2),
            "temperature", "The temperature multiplies 1 / losses instead of dividing it, or is left out."),
    one_way("softmax_weights", "near-zero-001", {"ranks": [2, 5, 1], "R": 5, "temperature": 0.1}, near_zero,
            "overflow of exp(1 / loss)", "The exponential of 1 / (loss T), beyond 100, overflows."),
    one_way("softmax_weights", "duplicates-001", {"ranks": [5, 3, 5], "R": 7, "temperature": 0.5}, partial(losses, 3),
            "duplicate ranks", "The softmax counts a rank that is listed twice once, or adds its weights up."),
    one_way("gradnorm_targets", "real-001", {"alpha": 1.5}, partial(gradnorm, 5), "inverse training rate",
            "The rate is first loss over loss, is not divided by its mean, or alpha is a factor."),
    one_way("gradnorm_targets", "equal-norms-001", {"alpha": 0.0}, partial(gradnorm, 3), "alpha of zero",
            "At alpha = 0 every target is the mean of weights * norms; the mean of the norms alone is taken."),
    one_way("gradnorm_targets", "alpha-001", {"alpha": 0.12}, partial(gradnorm, 2), "alpha",
            "alpha is taken for its default."),
    one_way("renormalised", "real-001", {}, lambda rng, dtype: {"weights": positive(rng, 5)}, "sum of the weights",
            "The weights sum to 1 instead of K, or keep their product."),
    one_way("renormalised", "integers-001", {}, lambda rng, dtype: {"weights": np.array([1.0, 9.0, 2.0, 4.0])},
            "a power of two", "The sum of the weights is four times their number: each is divided by exactly 4.",
            lane="certified"),
)  # fmt: skip


# --- regularisers -----------------------------------------------------------------------------------------------------


def factor(R, d_in, rng, dtype):
    """Rows of about unit length, far from orthogonal."""
    return {"A": rising(rng, R, (d_in,)) / np.sqrt(d_in)}


def integer_factor(R, d_in, rng, dtype):
    """Signs and zeros."""
    return {"A": signs(rng, R, d_in) * (rng.random((R, d_in)) < 0.7)}


_HARD = (
    ("real-001", "certified", {}, partial(factor, 5, 7), "identity",
     "The identity is not subtracted, or A^T A is taken instead of A A^T."),
    ("above-width-001", "certified", {}, partial(factor, 7, 3), "more rows than columns",
     "With R above d_in the smaller of the two products is taken."),
    ("integers-001", "exact", {}, partial(integer_factor, 3, 5), "factor of four",
     "The gradient lacks a factor of 2: A stands in the product twice, and the square gives another.", power_of_two),
)  # fmt: skip

_RESIDUAL = (
    ("real-001", "certified", {"rank": 3, "anchor": 7}, partial(factor, 11, 5), "rows above the anchor",
     "Rows above the anchor take part, or row rank + 1 is left out."),
    ("one-001", "certified", {"rank": 1, "anchor": 2}, partial(factor, 5, 3), "one row each",
     "With one row on each side an axis is lost, or the gradient of one side is missing."),
    ("to-R-001", "certified", {"rank": 2, "anchor": 7}, partial(factor, 7, 11), "anchor at R",
     "At anchor = R the last row is left out."),
    ("integers-001", "exact", {"rank": 2, "anchor": 5}, partial(integer_factor, 7, 3), "factor of two",
     "The gradient lacks the factor 2 or has it twice.", power_of_two),
)  # fmt: skip


def _distance(prefix):
    names = f"{prefix}_anchor", f"{prefix}_variant"
    return (
        ("real-001", "certified", {"stop_anchor": False}, partial(pairs, names, (5, 3)), "mean over the rows",
         "The sum is divided by the number of elements instead of rows, or the root is taken."),
        ("stopped-001", "certified", {"stop_anchor": True}, partial(pairs, names, (3, 7)), "constant anchor",
         "The anchor gets a gradient though it is constant, or the variant's sign is wrong."),
        ("sequence-001", "certified", {"stop_anchor": False}, partial(pairs, names, (2, 3, 5)), "two leading axes",
         "With the leading axes (B, T) the mean is over one of them."),
        ("integers-001", "exact", {"stop_anchor": False}, partial(integer_pairs, names, (4, 3)), "factor of two",
         "The gradient lacks the factor 2, or its sign.", power_of_two),
    )  # fmt: skip


# --- optimiser steps --------------------------------------------------------------------------------------------------


def state(shape, rms, fresh, rng, dtype):
    """Parameters, gradients and moments; the last three have no gradient, as components that no rank reaches."""
    g = 0.05 * rng.standard_normal(shape)
    g.flat[-3:] = 0
    m, v = 0.05 * rng.standard_normal(shape), (rms * rng.uniform(0.1, 1, shape)) ** 2
    if dtype == "float16":  # 1e-6 is subnormal there
        g, m, v = 8 * g, 8 * m, 900 * v
    return {"p": rng.standard_normal(shape), "g": g, "m": m * (not fresh), "v": v * (not fresh)}


def underflowed(rng, dtype):
    """No gradient and a second moment of zero, as where it has underflowed; the first one lives longer."""
    zero = np.zeros((3, 5))
    return {"p": rng.standard_normal((3, 5)), "g": zero, "m": 0.002 * (1 + rng.random((3, 5))), "v": zero}


def dyadic(rng, dtype):
    """Numbers for which the moments are exact: small integers times powers of two."""
    return {name: scale * small(rng, 7, 3) ** power for name, scale, power in
            (("p", 1.0, 1), ("g", 0.25, 1), ("m", 0.5, 1), ("v", 0.125, 2))}  # fmt: skip


_DYADIC = {"t": 1, "lr": 0.25, "beta1": 0.5, "beta2": 0.75, "eps": 0.125, "weight_decay": 0.5}
_ADAMW = (
    ("middle-001", ADAMW, partial(state, (5, 7), 0.01, False), "place of eps",
     "eps is added inside the root, or to the uncorrected one; the decay is missing or is that of Adam with L2."),
    ("first-step-001", ADAMW | {"t": 1}, partial(state, (3, 7), 0.01, True), "bias correction",
     "At the first step the bias correction is left out or uses t - 1; 0 / 0 where there is no gradient."),
    ("late-001", ADAMW | {"t": 500, "lr": 0.1, "weight_decay": 0.9}, partial(state, (11,), 0.02, False), "large t",
     "The powers of beta are computed in too short a format, or the decay is not scaled by the learning rate."),
    ("no-decay-001", ADAMW | {"weight_decay": 0.0, "beta2": 0.99}, partial(state, (2, 3, 5), 0.03, False), "no decay",
     "A decay is applied though it is 0, or beta2 is taken for its default."),
    ("dyadic-001", _DYADIC, dyadic, "constants in a shorter format",
     "Every constant is a power of two or 3/4: the moments have no error from rounded constants to hide behind."),
    ("zero-rate-001", ADAMW | {"lr": 0.0}, partial(state, (7,), 0.01, False), "learning rate of zero",
     "At learning rate 0 the parameter moves by the decay; only the moments may change."),
    ("underflow-001", ADAMW | {"lr": 1e-5, "eps": 1e-8}, underflowed, "eps alone",
     "The second moment is zero: only eps divides, and 1e-7 or a floor of the format's own instead of 1e-8 shows."),
)  # fmt: skip

_SGD = {"lr": 0.3, "momentum": 0.9, "weight_decay": 0.1}
_SGD_EXACT = {"lr": 0.5, "momentum": 0.5, "weight_decay": 0.25}


def sgd_integers(rng, dtype):
    """Multiples of 4."""
    return {name: 4 * small(rng, 5, 3) for name in "pgm"}


_OPTIMISERS = (
    *(one_way("adamw_step", name, attrs, draw, flag, why) for name, attrs, draw, flag, why in _ADAMW),
    one_way("sgd_step", "middle-001", _SGD, partial(state, (5, 7), 0.1, False), "place of the decay",
            "The decay is taken off the parameter instead of added to the gradient, or momentum is damped."),
    one_way("sgd_step", "first-step-001", _SGD, partial(state, (11,), 0.1, True), "first step",
            "At the first step the gradient is scaled by 1 - momentum."),
    one_way("sgd_step", "plain-001", _SGD | {"momentum": 0.0, "weight_decay": 0.0}, partial(state, (13,), 0.1, False),
            "no momentum", "The old momentum is used though momentum is 0, or the step is Nesterov's."),
    one_way("sgd_step", "integers-001", _SGD_EXACT, sgd_integers, "wrong sign",
            "The step or the decay has the wrong sign.", lane="exact"),
)  # fmt: skip

DESIGNS = (
    *designs("weighted_sum", _SUM, NO_PRODUCTS),
    *_WEIGHTS,
    *designs("gradnorm", _GRADNORM, NO_PRODUCTS),
    *designs("hard_orthogonality", _HARD, ALL[:5]),
    *designs("residual_orthogonality", _RESIDUAL, ALL[:5]),
    *designs("logits_regularisation", _distance("z"), NO_PRODUCTS),
    *designs("hidden_regularisation", _distance("h"), NO_PRODUCTS),
    *_OPTIMISERS,
)
