"""Exact numbers refuse exactly the sums and products that some evaluation would round."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from nsn_ref.certify.exactness import exact
from nsn_ref.errors import NeedMorePrecision, NumberSystemError

BITS = {"float64": 53, "float32": 24}


@pytest.mark.parametrize("dtype", BITS)
def test_sums_and_products_are_the_fractions(dtype, rng):
    x = rng.integers(-40, 41, (5, 7)) / 8
    y = rng.integers(-40, 41, (7, 3)) * 4.0
    product = exact(x, dtype) @ exact(y, dtype)
    as_fractions = np.vectorize(Fraction, otypes=[object])
    expected = as_fractions(x) @ as_fractions(y)
    assert all(float(p) == float(e) for p, e in zip(product.flat, expected.flat, strict=True))


@pytest.mark.parametrize("dtype", BITS)
def test_the_largest_sum_that_no_order_rounds(dtype):
    top = 2.0 ** BITS[dtype]
    one, large = exact([1.0, top - 1], dtype)
    assert float(one + large) == top
    with pytest.raises(NeedMorePrecision):
        one + large + one
    with pytest.raises(NeedMorePrecision, match="needs more than"):
        large + one + -2.0  # the result is small, but an order of the terms passes through large + one


@pytest.mark.parametrize("dtype", BITS)
def test_products_beyond_the_format_are_refused(dtype):
    half = BITS[dtype] // 2
    a, b, c = exact([2.0**half + 1, 2.0**half - 1, 2.0 ** (half + 2) + 1], dtype)
    assert float(a * b) == 4.0**half - 1
    with pytest.raises(NeedMorePrecision):
        a * c


def test_a_number_beyond_the_format_is_refused():
    assert float(exact([2.0**24 + 1], "float64")[0]) == 2.0**24 + 1
    with pytest.raises(NeedMorePrecision):
        exact([2.0**24 + 1], "float32")


def test_powers_of_two_cost_nothing():
    x = np.float32(1.2345678)
    scaled = exact([x], "float32") * 2.0**-20 * exact([2.0**30], "float32")
    assert float(scaled[0]) == float(x) * 2.0**10


def test_whatever_is_accepted_is_exact_in_every_order(rng):
    """Terms at the edge of the format: those accepted are added in all orders in float32, without a rounding."""
    accepted = refused = 0
    for _ in range(300):
        terms = (rng.integers(-9, 10, 4) * 2.0 ** rng.integers(0, 32, 4)).astype(np.float32)
        total = sum(map(Fraction, map(float, terms)))
        try:
            assert float(exact(terms, "float32").sum()) == total
        except NeedMorePrecision:
            refused += 1
            continue
        accepted += 1
        for order in itertools.permutations(terms):
            running = np.float32(0)
            for term in order:
                running = running + term
            assert float(running) == total
    assert accepted > 50 and refused > 50


def test_there_is_no_exp():
    with pytest.raises(NumberSystemError, match="exp"):
        exact([1.0], "float64")[0].exp()
