"""What the designs draw from: real numbers, integers whose sums are exact, and cotangents."""

import numpy as np

from nsn_ref.golden import contracts, schema
from nsn_ref.golden.cases.case import Design, dtype_of
from nsn_ref.golden.evaluate import evaluate, reference

# An odd number with one bit more than the next shorter format has; within its own format with some to spare.
LARGE = {
    "float64": 2.0**24 + 7,
    "float32": 2.0**11 + 7,
    "tf32": 2.0**10 + 7,
    "float16": 2.0**10 + 7,
    "bfloat16": 2.0**7 + 1,
    "bfloat16_master": 2.0**7 + 1,
}
# Bits of the significand of a factor that a correct port may round it to.
OPERAND_BITS = {"float64": 53, "float32": 24, "tf32": 11, "float16": 11, "bfloat16": 8, "bfloat16_master": 8}
# How far from 0 the input of a ReLU must lie, of the largest one: a port's rounding may not switch it.
MARGIN = {
    "float64": 1e-6, "float32": 1e-4, "tf32": 0.008, "float16": 0.008, "bfloat16": 0.04, "bfloat16_master": 0.02,
}  # fmt: skip
MOMENT = {"float16": 0.2}  # the largest root of v where 0.01 would be a subnormal square


def rounded(x, dtype):
    """To the format of activations, as float64."""
    return x.astype(dtype_of(contracts.default(dtype).storage)).astype(np.float64)


def rising(rng, R, axis_shape):
    """Factors whose components grow, so that no component is too small to be missed: rows of A."""
    return rng.standard_normal((R, *axis_shape)) * np.linspace(0.5, 1.5, R).reshape(R, *[1] * len(axis_shape))


def small(rng, *shape):
    """Integers in -2..2 without zero."""
    return rng.choice([-2.0, -1.0, 1.0, 2.0], shape)


def signs(rng, *shape):
    """1 and -1."""
    return rng.choice([-1.0, 1.0], shape)


def cancelling_rows(rng, d, dtype):
    """Five rows [H, small, ..., -H]; the second undoes the first but for small numbers, the fourth the third.

    With equal first and last columns of the weights their large parts cancel in a product; with cotangents from
    `cancelling_cotangent` they cancel along the batch.
    """
    x = signs(rng, 5, d)
    large = LARGE[dtype] * np.array([1.0, 1.0, -1.0, -1.0, 0.0])
    x[:, 0] += large
    x[:, -1] -= large
    return x


def cancelling_weights(rng, *shape):
    """Signs, the last column equal to the first, which is three times as large: 3 H has one bit more than H."""
    W = signs(rng, *shape)
    W[..., 0] *= 3
    W[..., -1] = W[..., 0]
    return W


def cancelling_cotangent(rng, *shape):
    """Signs; rows 2 and 4 undo rows 1 and 3."""
    dy = signs(rng, *shape)
    dy[..., 1, :], dy[..., 3, :] = -dy[..., 0, :], -dy[..., 2, :]
    return dy


def full_mantissas(rng, dtype, *shape):
    """Numbers in 1..2 and their negatives whose last bit, of those an operand keeps, is set."""
    bits = OPERAND_BITS[dtype]
    half = rng.integers(2 ** (bits - 2), 2 ** (bits - 1), shape)
    return np.ldexp(2.0 * half + 1, 1 - bits) * signs(rng, *shape)


def both_ways(stem, name, lane, attrs, draw, flag, why, formats, backward, cotangent=None):
    """The forward design, and in its own formats the backward one, which has a cotangent as well.

    `cotangent` (rng, format, shape) draws it; default: normal numbers, or 1..2 for a scalar.
    """
    cotangent = cotangent or (lambda rng, dtype, shape: rng.standard_normal(shape) if shape else 1 + rng.random(()))
    *_, last = schema.operation(f"{stem}_backward").inputs

    def draw_backward(rng, dtype):
        tensors = draw(rng, dtype)
        output = evaluate(reference(), f"{stem}_forward", tensors, attrs)[last.name[1:]]
        return tensors | {last.name: np.asarray(cotangent(rng, dtype, np.shape(output)))}

    return (
        Design(f"{stem}_forward", name, lane, attrs, draw, flag, why, formats),
        Design(f"{stem}_backward", name, lane, attrs, draw_backward, flag, why, backward),
    )


def designs(stem, table, formats, backward=None):
    """Both ways of each row (name, lane, attributes, draw, flag, sentence, and perhaps a cotangent).

    `backward`: formats of the backward operation, where they are not those of the forward one.
    """
    return tuple(d for row in table for d in both_ways(stem, *row[:6], formats, backward or formats, *row[6:]))
