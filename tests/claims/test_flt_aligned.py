"""FLT-10: accumulators that align blocks of products to the largest of them, simulated bit for bit over Fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from helpers import seeds
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.certify import rounding
from nsn_ref.golden import contracts


def cut(x, unit):
    """x without what lies below the unit."""
    return math.trunc(x / unit) * unit


def unit_of(x, bits):
    """The last place of x in a format of that many bits."""
    numerator, denominator = abs(x).as_integer_ratio()
    exponent = numerator.bit_length() - denominator.bit_length()
    exponent -= abs(x) < Fraction(2) ** exponent
    return Fraction(2) ** (exponent - bits + 1)


def aligned_sum(terms, block, bits, kept=None):
    """The terms added as a matrix unit may: a block and the sum so far cut at one place, added, and cut again."""
    total = Fraction(0)
    for start in range(0, len(terms), block):
        members = [total, *terms[start : start + block]]
        if not any(members):
            continue
        unit = unit_of(max(map(abs, members)), kept or bits)
        total = sum((cut(x, unit) for x in members), Fraction(0))
        total = cut(total, unit_of(total, bits)) if total else total
    return total


def bound(terms, bits):
    """gamma(n + 2 ceil(n / 4), v) times the sum of the absolute values, v = 2 u one unit in the last place."""
    qv = (len(terms) + 2 * math.ceil(len(terms) / 4)) * Fraction(2) ** (1 - bits)
    assert qv < 1
    return qv / (1 - qv) * sum(map(abs, terms), Fraction(0))


dyadic = st.builds(lambda m, e: Fraction(m) * Fraction(2) ** e, st.integers(-255, 255), st.integers(-12, 12))


@pytest.mark.claim("FLT-10")
@given(st.lists(dyadic, min_size=1, max_size=30), st.integers(4, 9), st.integers(7, 24))
def test_aligned_blocks(terms, block, bits):
    """An accumulator that aligns blocks of at least 4 products to the largest, and cuts off what falls below its last
    place, errs by at most n + 2 ceil(n / 4) roundings of 2 u.
    """
    assert abs(aligned_sum(terms, block, bits) - sum(terms)) <= bound(terms, bits)


@pytest.mark.claim("FLT-10")
@given(st.integers(1, 23), st.integers(4, 9), seeds)
def test_the_code_charges_for_aligned_blocks(n, block, seed):
    """The bound of certify/rounding.py covers such an accumulator, of 24 bits, over products that it holds exactly."""
    rng = np.random.default_rng(seed)
    x, w = (rng.integers(-255, 256, (1, n)) * 2.0 ** rng.integers(-9, 9, (1, n)) for _ in range(2))
    with rounding.precision(contracts.default("tf32")):
        ((y,),) = rounding.rounded(x) @ rounding.rounded(w).T
    terms = [Fraction(a) * Fraction(b) for a, b in zip(x[0], w[0], strict=True)]
    assert abs(aligned_sum(terms, block, 24) - sum(terms)) <= Fraction(y.error)


def test_an_accumulator_that_keeps_too_few_bits_is_noticed():
    """Small terms beside a large one, again and again: three bits fewer are beyond the bound."""
    terms = [Fraction(1), *[Fraction(15, 16) * Fraction(2) ** -13] * 3]
    exact = sum(terms)
    assert abs(aligned_sum(terms, 4, 16) - exact) <= bound(terms, 16)
    assert abs(aligned_sum(terms, 4, 16, kept=13) - exact) > bound(terms, 16)
