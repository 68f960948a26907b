"""Certified values are correctly rounded; what is undecided is refused."""

import math
from fractions import Fraction

import flint
import numpy as np
import pytest
from helpers import normal

from nsn_ref.certify.balls import LAST_PRECISION, certified, to_balls, working_precision
from nsn_ref.errors import NeedMorePrecision, NonFiniteError
from nsn_ref.ops.nested_linear import nested_linear_forward
from nsn_ref.ops.relu import relu_forward


def array(*balls):
    return np.array(balls, dtype=object)


def one(function, *numbers):
    """The certified value of a function of numbers."""
    return float(certified(lambda *a: {"y": function(*(x[()] for x in a))}, *map(np.float64, numbers))["y"])


def test_rational_results_are_those_of_exact_rounding(rng):
    """float(Fraction) rounds correctly; the inputs make sums that cancel down to their last bits."""
    for _ in range(200):
        a, b, c = (float(x) for x in rng.standard_normal(3) * 10.0 ** rng.integers(-75, 75, 3))
        near = a * b
        found = one(lambda a, b, near, c: (a * b - near) / c, a, b, near, c)
        assert found == float((Fraction(a) * Fraction(b) - Fraction(near)) / Fraction(c))


def test_a_matrix_product_is_correctly_rounded(rng):
    inputs = normal(rng, (5, 3), (11, 3), (7, 11), (7,))
    found = certified(lambda *a: {"y": nested_linear_forward(*a, 4)[0]}, *inputs)["y"]
    exact = [np.vectorize(Fraction, otypes=[object])(a) for a in inputs]
    assert found.dtype == np.float64
    assert np.array_equal(found, nested_linear_forward(*exact, 4)[0].astype(float))


def test_elementary_functions_are_correctly_rounded():
    """Against a hundred more bits: the rounding of a far better approximation is the same number."""
    for x in (1e-300, 0.1, 1.0, 3.7, 25.0):
        found = one(lambda z: z.exp() - 1 - z, x)
        with working_precision(4000):
            assert found == float(flint.arb(x).exp() - 1 - flint.arb(x))


def test_an_exact_tie_goes_to_even():
    assert one(lambda x: x + flint.arb(2) ** -53, 1.0) == 1.0
    assert one(lambda x: x + 3 * flint.arb(2) ** -53, 1.0) == 1 + 2.0**-51
    assert one(lambda x: x + flint.arb(2) ** -53 + flint.arb(2) ** -3000, 1.0) == 1 + 2.0**-52


def test_an_inexact_ball_around_a_tie_is_refused():
    """(sqrt 2)^2 / 2 + 2^-53 is a tie that no precision decides."""
    with pytest.raises(
        NeedMorePrecision, match=rf"undecided at {LAST_PRECISION} bits: y\[\] = .* rounds to 1\.0 or to"
    ):
        one(lambda x: x.sqrt() * x.sqrt() / 2 + flint.arb(2) ** -53, 2.0)


def test_a_comparison_of_equal_numbers_is_refused():
    with pytest.raises(NeedMorePrecision, match="undecided at 4096 bits: the sign of"):
        certified(lambda x: {"y": relu_forward(array(x[0].sqrt() ** 2 - 2))[0]}, np.array([2.0]))


def test_a_comparison_is_decided_at_a_higher_precision():
    with working_precision(128), pytest.raises(NeedMorePrecision):
        relu_forward(array(flint.arb(1) / 3 + flint.arb(2) ** -500 - flint.arb(1) / 3))
    found = certified(lambda x: {"y": relu_forward(array(x[0] / 3 + flint.arb(2) ** -500 - x[0] / 3))[0]}, np.ones(1))
    assert found["y"][0] == 2.0**-500


def test_zeros_are_written_plus_zero():
    for zero in (
        one(lambda x: -x, 0.0),
        one(lambda x: x * 0, -1.0),
        one(lambda x: -(x**-8), 1e300),  # not zero, but below the smallest float64
        one(lambda x: x.sqrt() ** 2 - x, 2.0),  # zero, known only to 4,096 bits at the most
    ):
        assert zero == 0 and math.copysign(1, zero) == 1


def test_subnormal_results_are_correctly_rounded():
    assert one(lambda x: x * flint.arb(2) ** -1074 * 3 / 2, 1.0) == 2 * 5e-324
    assert one(lambda x: x * flint.arb(2) ** -1074 / 2, 1.0) == 0.0  # a tie with zero, which is even
    assert one(lambda x: x * flint.arb(2) ** -1074 * 51 / 100, 1.0) == 5e-324


def test_what_float64_cannot_hold_is_refused():
    with pytest.raises(NonFiniteError, match=r"certified: y\[\] = .*, expected the range of float64"):
        one(lambda x: x * x, 1e200)
    with pytest.raises(NeedMorePrecision, match="nan"):
        one(lambda x: x.log(), -1.0)


def test_inputs_are_exact_and_integers_pass(rng):
    for dtype in (np.float16, np.float32, np.float64):
        (x,) = normal(rng, 5)
        x = x.astype(dtype)
        assert [float(b) for b in to_balls(x)] == x.tolist() and all(b.is_exact() for b in to_balls(x))
    labels = np.array([3, 1])
    assert to_balls(labels) is labels


def test_the_precision_is_restored():
    before = flint.ctx.prec
    with pytest.raises(ZeroDivisionError), working_precision(999):
        assert flint.ctx.prec == 999
        raise ZeroDivisionError
    assert flint.ctx.prec == before
