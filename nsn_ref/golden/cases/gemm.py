"""Products of matrices of the sizes that tensor cores take: multiples of 8, at least 64. Smaller ones bypass them."""

import numpy as np

from nsn_ref.golden.cases.case import Design
from nsn_ref.golden.cases.draws import LARGE, signs, small

FORMATS = ("float32", "tf32", "bfloat16", "float16")
PROVED_ONCE = ("nested_linear", "backward")  # of shorter formats the certificate by magnitudes is too coarse
FLAG = "short accumulator of a large product"
WHY = (
    "Large terms cancel over 64 products and over the batch: a tensor core with a short accumulator or operands shows."
)


def sparse(rng, rows, columns, count):
    """`count` signs in each row."""
    out = np.zeros((rows, columns))
    for i in range(rows):
        out[i, rng.choice(columns, count, replace=False)] = rng.choice([-1.0, 1.0], count)
    return out


def inputs(rng, dtype):
    """Rows [H, signs, -H] in pairs; the cotangents of a pair undo each other, but for the last two rows."""
    x, dy = signs(rng, 64, 64), sparse(rng, 64, 72, 6)
    H = LARGE[dtype] * np.where(np.arange(64) < 62, 1.0, 0.0)
    x[:, 0] += H
    x[:, -1] -= H
    dy[1:62:2] = -dy[0:61:2]
    return x, dy


def nested(rng, dtype):
    """R above the rank, which is 64."""
    x, dy = inputs(rng, dtype)
    A, B = sparse(rng, 80, 64, 3), sparse(rng, 72, 80, 4)
    A[:, 0] = A[:, -1] = 3 * signs(rng, 80)
    return {"x": x, "A": A, "B": B, "b": small(rng, 72), "dy": dy}


def dense(rng, dtype):
    """One matrix."""
    x, dy = inputs(rng, dtype)
    W = sparse(rng, 72, 64, 5)
    W[:, 0] = W[:, -1] = 3 * signs(rng, 72)
    return {"x": x, "W": W, "b": small(rng, 72), "dy": dy}


DESIGNS = tuple(
    Design(
        f"{stem}_{way}",
        "gemm-001",
        "exact",
        attrs,
        draw,
        FLAG,
        WHY,
        FORMATS if (stem, way) != PROVED_ONCE else FORMATS[:1],
    )
    for stem, attrs, draw in (("nested_linear", {"rank": 64}, nested), ("dense", {}, dense))
    for way in ("forward", "backward")
)
