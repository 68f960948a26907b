"""Cases of the objective, forward and backward: each variant, orders of ranks, log-variances far from zero."""

from functools import partial

import numpy as np

from nsn_ref.golden.cases.case import NO_PRODUCTS, Design


def draw(ranks, R, reach, backward, rng, dtype):
    """Losses of different sizes, and distinct non-zero log-variances up to `reach`, in no order."""
    tensors = {"losses": np.exp(rng.standard_normal(len(ranks))), "s": distinct(rng, R, reach)}
    return tensors | ({"dtotal": 1 + rng.random(())} if backward else {})


def distinct(rng, R, reach):
    """Numbers of both signs, up to `reach`, that differ from each other and from zero by a tenth of their spacing."""
    spacing = 2 * reach / R
    places = (np.arange(R) + 0.5) * spacing - reach + (0.5 * spacing if R % 2 else 0)
    return rng.permutation(places + spacing * rng.uniform(-0.4, 0.4, R))


# name, variant, ranks, R, largest |s|, flag, sentence
_TABLE = (
    ("uncertainty-001", "uncertainty", [3, 7], 11, 2.0, "sign of s",
     "The weight is exp(s), exp(-2 s) or 1 / s instead of exp(-s), or the penalty is missing or halved."),
    ("by-rank-001", "uncertainty", [5, 1, 13], 13, 2.0, "s by position",
     "The log-variance is looked up by position in the list of ranks, or by rank without subtracting 1."),
    ("duplicates-001", "uncertainty", [4, 2, 4], 7, 2.0, "duplicate ranks",
     "A rank that is listed twice counts once, or the second gradient of its log-variance overwrites the first."),
    ("one-rank-001", "uncertainty", [5], 7, 2.0, "one rank",
     "With K = 1 the axis of the ranks is lost, or the total is a mean."),
    ("far-001", "uncertainty", [2, 5, 4, 1, 3], 5, 7.0, "clipped s",
     "Log-variances beyond 5 are clipped, or the weight is computed from a rounded variance."),
    ("classification-001", "classification", [6, 2, 7], 7, 3.0, "penalty of the variant",
     "The penalty is s instead of s / 2, in the total or in the gradient."),
    ("bounded-001", "bounded", [7, 3, 5], 11, 3.0, "weight of the variant",
     "The weight is exp(-s) instead of exp(-s) / 2, or the penalty is not ln(1 + exp(s))."),
    ("bounded-far-001", "bounded", [2, 5, 4, 1, 3], 5, 8.0, "overflow of exp(s)",
     "ln(1 + exp(s)) is replaced by s or by exp(s) too soon, or its derivative by 1 or 0."),
)  # fmt: skip

DESIGNS = tuple(
    Design(
        f"objective_{way}", name, "certified", {"ranks": ranks, "variant": variant},
        partial(draw, ranks, R, reach, way == "backward"), flag, why, NO_PRODUCTS,
    )
    for name, variant, ranks, R, reach, flag, why in _TABLE
    for way in ("forward", "backward")
)  # fmt: skip
