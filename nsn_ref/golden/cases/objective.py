"""Cases of the objective, forward and backward: each variant, orders of ranks, log-variances far from zero."""

from functools import partial

import numpy as np

from nsn_ref.golden.cases.case import NO_PRODUCTS
from nsn_ref.golden.cases.draws import designs


def real(reach, ranks, R, rng, dtype):
    """Losses of different sizes, and distinct non-zero log-variances up to `reach`, in no order."""
    return {"losses": np.exp(rng.standard_normal(len(ranks))), "s": distinct(rng, R, reach)}


def far_out(s, losses, ranks, R, rng, dtype):
    """Log-variances a little further out than `s`, and losses so small that the penalty is most of the total."""
    places = (rng.permutation(R) + rng.uniform(0.1, 0.9, R)) / R
    return {"losses": losses * rng.uniform(0.5, 1, len(ranks)), "s": s * (1 + 0.005 * places)}


def distinct(rng, R, reach):
    """Numbers of both signs, up to `reach`, that differ from each other and from zero by a tenth of their spacing."""
    spacing = 2 * reach / R
    places = (np.arange(R) + 0.5) * spacing - reach + (0.5 * spacing if R % 2 else 0)
    return rng.permutation(places + spacing * rng.uniform(-0.4, 0.4, R))


# name, variant, ranks, R, what draws losses and s, flag, sentence
_TABLE = (
    ("uncertainty-001", "uncertainty", [3, 7], 11, partial(real, 2.0), "sign of s",
     "The weight is exp(s), exp(-2 s) or 1 / s instead of exp(-s), or the penalty is missing or halved."),
    ("by-rank-001", "uncertainty", [5, 1, 13], 13, partial(real, 2.0), "s by position",
     "The log-variance is looked up by position in the list of ranks, or by rank without subtracting 1."),
    ("duplicates-001", "uncertainty", [4, 2, 4], 7, partial(real, 2.0), "duplicate ranks",
     "A rank that is listed twice counts once, or the second gradient of its log-variance overwrites the first."),
    ("one-rank-001", "uncertainty", [5], 7, partial(real, 2.0), "one rank",
     "With K = 1 the axis of the ranks is lost, or the total is a mean."),
    ("far-001", "uncertainty", [2, 5, 4, 1, 3], 5, partial(real, 7.0), "clipped s",
     "Log-variances beyond 5 are clipped, or the weight is computed from a rounded variance."),
    ("classification-001", "classification", [6, 2, 7], 7, partial(real, 3.0), "penalty of the variant",
     "The penalty is s instead of s / 2, in the total or in the gradient."),
    ("bounded-001", "bounded", [7, 3, 5], 11, partial(real, 3.0), "weight of the variant",
     "The weight is exp(-s) instead of exp(-s) / 2, or the penalty is not ln(1 + exp(s))."),
    ("bounded-far-001", "bounded", [2, 5, 4, 1, 3], 5, partial(real, 8.0), "overflow of exp(s)",
     "ln(1 + exp(s)) is replaced by s or by exp(s) too soon, or its derivative by 1 or 0."),
    ("bounded-low-001", "bounded", [3, 1], 3, partial(far_out, -4.1, 2.0**-13), "small penalty",
     "Below -4 ln(1 + exp(s)) is taken for 0, or lost in the rounding of 1 + exp(s)."),
    ("bounded-three-001", "bounded", [2], 5, partial(far_out, 3.025, 2.0**-10), "penalty of a large s",
     "Above 3 ln(1 + exp(s)) is taken for s."),
    ("bounded-four-001", "bounded", [4], 7, partial(far_out, 4.025, 2.0**-10), "slope of a large s",
     "Above 4 the derivative of ln(1 + exp(s)) is taken for 1."),
)  # fmt: skip

DESIGNS = designs(
    "objective",
    [
        (name, "certified", {"ranks": ranks, "variant": variant}, partial(draw, ranks, R), flag, why)
        for name, variant, ranks, R, draw, flag, why in _TABLE
    ],
    NO_PRODUCTS,
)
