"""Claims with exp and ln on balls of 2,048 bits: what is asserted holds for certain, or to 120 decimal digits."""

import functools
from fractions import Fraction

import numpy as np
from flint import arb
from hypothesis import strategies as st

from nsn_ref.certify.balls import working_precision

BITS = 2048
DIGITS = arb("1e-120")


def on_balls(test):
    """Run a test at 2,048 bits."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        with working_precision(BITS):
            test(*args, **kwargs)

    return run


def ball(fraction):
    """An enclosure of a rational number."""
    return arb(fraction.numerator) / fraction.denominator


def balls(fractions):
    """Enclosures of rational numbers, as an array."""
    out = np.empty(len(fractions), dtype=object)
    out[:] = [ball(Fraction(x)) for x in fractions]
    return out


def same(x, y, scale=1):
    """Whether two enclosures agree to 120 digits, relative to `scale` where that is larger than their values."""
    return bool(abs(x - y) <= DIGITS * (abs(x) + abs(y) + scale))


def _losses():
    ordinary = st.fractions(Fraction(1, 50), 50, max_denominator=60)
    extreme = st.sampled_from([Fraction(2) ** n for n in (-1000, -300, -30, 30, 300, 1000)])
    return st.one_of(ordinary, extreme, st.just(Fraction(1)))


losses = _losses()  # ordinary, huge, tiny, and often equal ones
steps = st.fractions(Fraction(1, 8), 20, max_denominator=8).flatmap(lambda h: st.sampled_from([h, -h]))  # never zero


@st.composite
def sampled_ranks(draw, largest=7):
    """R and K distinct ranks in any order, one among them."""
    R = draw(st.integers(1, largest))
    ranks = draw(st.permutations(range(1, R + 1)))
    return R, ranks[: draw(st.integers(1, R))]


@st.composite
def objectives(draw):
    """(losses, s, ranks), Fractions: positive losses at distinct ranks; log-variances, of the ranks not sampled too."""
    R, ranks = draw(sampled_ranks())
    return (
        [draw(losses) for _ in ranks],
        [draw(st.fractions(-30, 30, max_denominator=8)) for _ in range(R)],
        ranks,
    )
