"""Sums in any order: near the exact sum, in both forms, and NaN and infinity stay what they are."""

import math

import numpy as np
import pytest

from nsn_ref.kernels.sums import sum_of_squares


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", [sum_of_squares, sum_of_squares.py_func], ids=["compiled", "python"])
@pytest.mark.parametrize("size", [0, 1, 7, 1031])
def test_the_sum_is_near_the_exact_one(rng, dtype, form, size):
    x = rng.standard_normal(size).astype(dtype)
    exact = math.fsum((x * x).tolist())
    assert abs(form(x) - exact) <= size * 2.0**-53 * exact


@pytest.mark.parametrize("form", [sum_of_squares, sum_of_squares.py_func], ids=["compiled", "python"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite_is_seen_wherever_it_stands(form, value):
    for position in range(40):
        x = np.ones(40)
        x[position] = value
        np.testing.assert_equal(form(x), value * value)
