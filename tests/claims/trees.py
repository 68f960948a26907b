"""Floating-point arithmetic over Fractions: one rounding after another, in any order of summation, fused or not.

The trees are those of proofs/floating_point.v: stored numbers, products with a stored number, sums, fused
multiply-adds. Nothing here is taken from what is tested but the table of formats.
"""

import math
import random
from fractions import Fraction
from typing import NamedTuple

import ml_dtypes
import numpy as np
from hypothesis import strategies as st

from nsn_ref.certify.formats import FORMATS

DTYPES = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def quantum(x, f):
    """The last place of a number in a format, subnormal numbers included."""
    numerator, denominator = abs(x).as_integer_ratio()
    exponent = numerator.bit_length() - denominator.bit_length()
    exponent -= abs(x) < Fraction(2) ** exponent
    return Fraction(2) ** (max(exponent, f.lowest) - f.bits + 1)


def nearest(x, f):
    """Rounded to the nearest number of a format, ties to even."""
    return round(x / quantum(x, f)) * quantum(x, f) if x else x


def truncated(x, f):
    """Rounded towards zero."""
    return math.trunc(x / quantum(x, f)) * quantum(x, f) if x else x


def upwards(x, f):
    """Rounded towards plus infinity."""
    return math.ceil(x / quantum(x, f)) * quantum(x, f) if x else x


def unit(f):
    """The unit roundoff of rounding to nearest."""
    return Fraction(2) ** -f.bits


def tiny(f):
    """The largest error of rounding a subnormal number to nearest: half the smallest one."""
    return Fraction(2) ** (f.lowest - f.bits)


def gamma(n, u):
    """n u / (1 - n u)."""
    assert n * u < 1
    return n * u / (1 - n * u)


class Inp(NamedTuple):
    """A stored number."""

    x: Fraction


class Mul(NamedTuple):
    """A stored number times a tree, rounded."""

    c: Fraction
    e: object


class Add(NamedTuple):
    """The sum of two trees, rounded."""

    a: object
    b: object


class Fma(NamedTuple):
    """A stored number times a tree plus a tree, rounded once."""

    c: Fraction
    a: object
    b: object


def computed(e, rnd):
    """The value of a tree with every operation rounded."""
    match e:
        case Inp(x):
            return x
        case Mul(c, a):
            return rnd(c * computed(a, rnd))
        case Add(a, b):
            return rnd(computed(a, rnd) + computed(b, rnd))
        case Fma(c, a, b):
            return rnd(c * computed(a, rnd) + computed(b, rnd))


def magnitude(e):
    """The exact value with every number replaced by its absolute value."""
    match e:
        case Inp(x):
            return abs(x)
        case Mul(c, a):
            return abs(c) * magnitude(a)
        case Add(a, b):
            return magnitude(a) + magnitude(b)
        case Fma(c, a, b):
            return abs(c) * magnitude(a) + magnitude(b)


def depth(e):
    """The largest number of roundings that a number passes through."""
    match e:
        case Inp():
            return 0
        case Mul(_, a):
            return 1 + depth(a)
        case Add(a, b) | Fma(_, a, b):
            return 1 + max(depth(a), depth(b))


def underflows(e):
    """The weight of the underflow terms."""
    match e:
        case Inp():
            return Fraction(0)
        case Mul(c, a):
            return abs(c) * underflows(a) + 1
        case Add(a, b):
            return underflows(a) + underflows(b)
        case Fma(c, a, b):
            return abs(c) * underflows(a) + underflows(b) + 1


def forward_bound(e, f):
    """((1 + u)^depth - 1) magnitude + (1 + u)^depth eta underflows."""
    growth = (1 + unit(f)) ** depth(e)
    return (growth - 1) * magnitude(e) + growth * tiny(f) * underflows(e)


def dot_tree(terms, rng):
    """A tree that adds up c times e over the terms (c, e): one after another, by halves, or in any other order."""
    terms = rng.sample(terms, len(terms))
    split = rng.choice([lambda n: n - 1, lambda n: n // 2, lambda n: rng.randrange(1, n)])

    def build(part):
        if len(part) == 1:
            return Mul(*part[0])
        cut = split(len(part))
        if len(part) - cut == 1 and rng.random() < 0.5:
            return Fma(*part[-1], build(part[:cut]))
        return Add(build(part[:cut]), build(part[cut:]))

    return build(terms)


def pairs(x, y):
    """The terms of a dot product of stored numbers."""
    return [(c, Inp(e)) for c, e in zip(x, y, strict=True)]


def dot(x, y):
    """The exact dot product."""
    return sum((a * b for a, b in zip(x, y, strict=True)), Fraction(0))


def size(x, y):
    """abs(x) . abs(y)."""
    return dot(map(abs, x), map(abs, y))


# --- what is drawn --------------------------------------------------------------------------------------------------

formats = st.sampled_from([FORMATS[name] for name in DTYPES])
orders = st.integers(0, 2**32 - 1).map(random.Random)
SPREADS = {"ordinary": (-2, 2), "graded": (-7, 5)}


def numbers(f, spread):
    """Numbers of a format: full significands, zero, and where the spread is "subnormal" down to the smallest number."""
    low, high = SPREADS.get(spread, (f.lowest // 2 - 2, f.lowest // 2 + 2))
    if spread == "subnormal" and f.bits > 11:
        low, high = f.lowest // 2 - f.bits // 2 - 2, f.lowest // 2 + 2
    top = 2**f.bits - 1
    significands = st.one_of(st.integers(-top, top), st.integers(-9, 9), st.sampled_from([top, -top, top // 2 + 1]))
    return st.builds(
        lambda m, e: nearest(Fraction(m) * Fraction(2) ** (e - f.bits), f), significands, st.integers(low, high)
    )


@st.composite
def vectors(draw, f, spreads=("ordinary", "graded", "subnormal"), largest=9):
    """Two vectors of numbers of a format, all of one term or with sums that cancel among them."""
    spread, n = draw(st.sampled_from(spreads)), draw(st.integers(1, largest))
    x, y = (draw(st.lists(numbers(f, spread), min_size=n, max_size=n)) for _ in range(2))
    if draw(st.booleans()):  # everything but the last term cancels
        x, y = [*x, *x[:-1]], [*y, *(-b for b in y[:-1])]
    return x, y


def array(x, dtype):
    """The same numbers in a dtype, which must hold them."""
    out = np.array([float(a) for a in x], dtype=np.float64).astype(dtype)
    assert [Fraction(float(a)) for a in out] == list(x), "a number was drawn that the dtype rounds"
    return out
