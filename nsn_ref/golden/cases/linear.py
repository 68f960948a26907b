"""Cases of the linear layers at one rank and at K ranks, forward and backward.

All sizes of a case are distinct primes (or 1), or all equal on purpose. Components grow with their index: where they
fall off, as after an SVD, a rank that is off by one changes little.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from nsn_ref.golden.cases.case import ALL, PLAIN, Design
from nsn_ref.golden.cases.draws import (
    cancelling_cotangent,
    cancelling_rows,
    cancelling_weights,
    full_mantissas,
    signs,
    small,
)


class Sizes(NamedTuple):
    """Shape of a layer and its input."""

    leading: tuple  # (n,) or (B, T)
    d_in: int
    d_out: int
    R: int
    top: int  # the largest rank that it is run at


def real(sizes, K, rng, dtype):
    """Full mantissas, a bias, rising components, a random cotangent."""
    leading, d_in, d_out, R, _ = sizes
    rising = np.linspace(0.5, 1.5, R)
    return {
        "x": rng.standard_normal((*leading, d_in)),
        "A": rng.standard_normal((R, d_in)) * rising[:, None],
        "B": rng.standard_normal((d_out, R)) * rising,
        "b": rng.standard_normal(d_out),
        "dy": rng.standard_normal((*K, *leading, d_out)),
    }


def cancelling(sizes, K, rng, dtype):
    """Integers with a large and a small part, whose large parts cancel along each axis that is summed over.

    The large elements of x are odd and have one bit more than the next shorter format (float32; TF32, float16).
    """
    leading, d_in, d_out, R, _ = sizes
    if dtype not in PLAIN:
        return short_cancelling(d_in, R, K, rng, dtype)
    large, medium = (2.0**24 + 7, 2.0**11 + 1) if dtype == "float64" else (2.0**11 + 7, 2.0**3 + 1)

    def small(*shape):
        return rng.choice([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], shape)

    x, A, B, b, dy = small(*leading, d_in), small(R, d_in), small(d_out, R), small(d_out), small(*K, *leading, d_out)
    x[..., 0] = large + 2 * x[..., 0]
    x[..., -1] = 2 * x[..., -1] - large
    A[:, -1] = A[:, 0]
    B[:, 0] += medium
    B[:, 1] -= medium
    flat = dy.reshape(-1, np.prod(leading), d_out)
    flat[:, 0] += medium
    flat[:, -1] -= medium
    return {"x": x, "A": A, "B": B, "b": b, "dy": dy}


def short_cancelling(d_in, R, K, rng, dtype):
    """The same for a format in which only small results are exact: of five rows the first four are two pairs."""
    A, B = cancelling_weights(rng, R, d_in), signs(rng, 3, R)
    x, dy = cancelling_rows(rng, d_in, dtype), cancelling_cotangent(rng, *K, 5, 3)
    return {"x": x, "A": A, "B": B, "b": small(rng, 3), "dy": dy}


def permutation(sizes, K, rng, dtype):
    """Factors that only permute and scale by powers of two, the last component among them; one row of the cotangent
    for each output. So a result is a full mantissa of x times a power of two, or a sum of powers of two.
    """
    leading, d_in, d_out, R, top = sizes

    def powers(n):
        return rng.choice([-4.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 4.0], n)

    A, B, dy = np.zeros((R, d_in)), np.zeros((d_out, R)), np.zeros((*K, *leading, d_out))
    A[np.arange(R), rng.permutation(R) % d_in] = powers(R)
    B[np.arange(d_out), np.append(rng.permutation(top - 1)[: d_out - 1], top - 1)] = powers(d_out)
    dy.reshape(-1, d_out)[rng.permutation(d_out) % np.prod(leading), np.arange(d_out)] = powers(d_out)
    shape = (*leading, d_in)
    x = rng.standard_normal(shape) if dtype in PLAIN else full_mantissas(rng, dtype, *shape)
    return {"x": x, "A": A, "B": B, "b": np.zeros(d_out), "dy": dy}


def _both_ways(stem, name, lane, draw, sizes, attrs, flag, why):
    """The forward and the backward design; only the backward one has a cotangent."""
    K = (len(attrs["ranks"]),) if "ranks" in attrs else ()
    draw = partial(draw, Sizes(*sizes, max(attrs.get("ranks", [attrs.get("rank")]))), K)
    cotangent = "dys" if K else "dy"

    def draw_forward(rng, dtype):
        tensors = draw(rng, dtype)
        del tensors["dy"]
        return tensors

    def draw_backward(rng, dtype):
        tensors = draw(rng, dtype)
        return tensors | {cotangent: tensors.pop("dy")}

    return (
        Design(f"{stem}_forward", name, lane, attrs, draw_forward, flag, why, ALL),
        Design(f"{stem}_backward", name, lane, attrs, draw_backward, flag, why, ALL),
    )


# name, lane, draw, (leading axes, d_in, d_out, R), rank, flag, sentence
_NESTED = (
    ("interior-rank-001", "certified", real, ((5,), 7, 3, 11), 4, "rank off by one",
     "The rank is off by one, or the last r components are used instead of the first r."),
    ("rank-one-001", "certified", real, ((3,), 5, 7, 11), 1, "rank one",
     "At rank 1 an axis is lost, or the rank is taken for the index of a component."),
    ("full-rank-001", "certified", real, ((3,), 11, 7, 5), 5, "last component",
     "At rank R the last component is left out."),
    ("rank-above-width-001", "certified", real, ((2,), 5, 3, 17), 13, "clipped rank",
     "The rank is clipped to min(d_in, d_out), as that of an SVD would be."),
    ("batch-one-001", "certified", real, ((1,), 5, 3, 7), 3, "batch of one",
     "A batch of one loses its axis, or gradients are means over the batch instead of sums."),
    ("square-001", "certified", real, ((5,), 5, 5, 5), 3, "transposed where square",
     "With every size equal no shape tells that a factor or its gradient is transposed."),
    ("sequence-001", "certified", real, ((2, 3), 7, 5, 11), 6, "two leading axes",
     "With the leading axes (B, T) a gradient is summed over one of them only, or T is taken for the width."),
    ("long-sum-001", "certified", real, ((7,), 61, 5, 13), 9, "short accumulator",
     "The longest sums of the suite: an accumulator shorter than the format shows here first."),
    ("cancelling-001", "exact", cancelling, ((4,), 7, 5, 11), 6, "inexact accumulation",
     "Large terms cancel along every axis that is summed over: a result off by one unit is an accumulation in a "
     "shorter format, or a sum over the wrong elements."),
    ("permutation-001", "exact", permutation, ((3,), 7, 5, 11), 7, "operand rounding",
     "Results are inputs times powers of two: operands are rounded before they are multiplied (TF32, bfloat16)."),
)  # fmt: skip

# the same with ranks
_MULTIRANK = (
    ("ascending-001", "certified", real, ((3,), 7, 5, 13), [1, 4, 11], "components between ranks",
     "The components between two ranks are counted twice or not at all."),
    ("descending-001", "certified", real, ((3,), 5, 7, 11), [11, 6, 1], "descending ranks",
     "The outputs are in ascending order of the ranks instead of the caller's, or ranks[0] is taken for the largest."),
    ("duplicates-001", "certified", real, ((3,), 7, 5, 11), [6, 2, 6], "duplicate ranks",
     "A rank that is listed twice gets one output, or its two cotangents overwrite each other instead of adding up."),
    ("one-rank-001", "certified", real, ((5,), 3, 7, 11), [5], "one rank",
     "With K = 1 the axis of the ranks is lost."),
    ("rank-above-width-001", "certified", real, ((2,), 5, 3, 17), [13, 4, 17, 7], "clipped rank",
     "A rank is clipped to min(d_in, d_out), so that two of the outputs become equal."),
    ("square-001", "certified", real, ((5,), 5, 5, 5), [2, 5], "transposed where square",
     "With every size equal no shape tells that a factor or its gradient is transposed."),
    ("sequence-001", "certified", real, ((2, 3), 5, 7, 11), [3, 8], "two leading axes",
     "With the leading axes (B, T) the axis of the ranks is put in the wrong place, or summed over."),
    ("anchor-below-R-001", "certified", real, ((1,), 7, 3, 13), [9, 3], "unused components",
     "Components above the largest rank take part, or get a gradient that is not exactly zero."),
    ("cancelling-001", "exact", cancelling, ((4,), 7, 5, 11), [6, 2, 9, 6], "inexact accumulation",
     "Large terms cancel along every axis that is summed over: a result off by one unit is an accumulation in a "
     "shorter format, or a sum over the wrong elements."),
)  # fmt: skip

DESIGNS = tuple(
    design
    for stem, table, key in (("nested_linear", _NESTED, "rank"), ("multirank_linear", _MULTIRANK, "ranks"))
    for name, lane, draw, sizes, at, flag, why in table
    for design in _both_ways(stem, name, lane, draw, sizes, {key: at}, flag, why)
)
