"""The exponential of a whole row: the compiler has vector forms of arithmetic, and none of `exp`.

With k the integer nearest to x / ln 2 and r = x - k ln 2, e^x = 2^k e^r. ln 2 is taken off in two parts; the first has
so few digits that its product with k is exact. For abs(r) <= ln(2) / 2 the Taylor sum to r^13 / 13! is right to 2^-57,
relative; what else is lost is rounding.
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from nsn_ref.kernels.common import compiled

LOG2_E = 1 / math.log(2)
HIGH32, LOW32 = 355 / 512, -2.1219444005469057e-4  # ln 2 = high + low
HIGH64, LOW64 = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")
LOWEST32, LOWEST64 = -87.0, -708.0  # below, results near the smallest normal number begin
COEFFICIENTS = tuple(1 / math.factorial(i) for i in range(13, -1, -1))


def power_of_two(k):
    """2^k for an integer k in the range of normal numbers, given as a float."""
    return np.ldexp(type(k)(1), int(k))


@intrinsic
def _power_from_bits(typingctx, k):
    width, bias, digits = (32, 127, 23) if k == types.float32 else (64, 1023, 52)

    def codegen(context, builder, signature, values):
        kind = ir.IntType(width)
        exponent = builder.add(builder.fptosi(values[0], kind), kind(bias))
        return builder.bitcast(builder.shl(exponent, kind(digits)), values[0].type)

    return k(k), codegen


@overload(power_of_two)
def _compiled_power(k):
    return lambda k: _power_from_bits(k)


@compiled
def exp_in_place(row):
    """Turn numbers <= 0 into their exponentials; what is far below zero, or NaN, goes one by one."""
    short, number = row.itemsize == 4, row.dtype.type
    lowest, log2_e, half = number(LOWEST32 if short else LOWEST64), number(LOG2_E), number(0.5)
    high, low = number(HIGH32 if short else HIGH64), number(LOW32 if short else LOW64)
    far = 0
    for j in range(row.size):
        far += 0 if row[j] >= lowest else 1
    if far > 0:
        for j in range(row.size):
            row[j] = np.exp(row[j])
        return
    for j in range(row.size):
        k = np.floor(row[j] * log2_e + half)
        r = (row[j] - k * high) - k * low
        e = number(COEFFICIENTS[0])
        for c in COEFFICIENTS[1:]:
            e = e * r + number(c)
        row[j] = e * power_of_two(k)
