"""Medians, means, lines, and whether results are equal."""

import math

import pytest

from nsn_ref.bench import equality, statistics
from nsn_ref.errors import NSNError


def test_spread_is_median_and_range():
    assert statistics.spread([5.0, 1.0, 3.0]) == (3.0, 1.0, 5.0)
    assert statistics.spread([4.0, 1.0, 3.0, 9.0]) == (3.5, 1.0, 9.0)


def test_geometric_mean_of_reciprocals_is_the_reciprocal():
    values = [0.5, 3.0, 7.0]
    mean = statistics.geometric_mean(values)
    assert math.isclose(mean**3, 10.5)
    assert math.isclose(mean * statistics.geometric_mean([1 / v for v in values]), 1.0)


def test_a_line_is_found_again():
    line = statistics.fit_line([1, 2, 5, 7], [2.5, 3.0, 4.5, 5.5])
    assert math.isclose(line.slope, 0.5) and math.isclose(line.intercept, 2.0) and math.isclose(line.r_squared, 1.0)


def test_r_squared_is_the_share_of_the_variance_explained():
    x, y = [1, 2, 3, 4], [1.0, 3.0, 2.0, 5.0]
    line = statistics.fit_line(x, y)
    mean = sum(y) / 4
    left = sum((v - line.intercept - line.slope * u) ** 2 for u, v in zip(x, y, strict=True))
    assert math.isclose(line.r_squared, 1 - left / sum((v - mean) ** 2 for v in y))


def test_equal_results_give_the_largest_relative_difference():
    found = [[2.0, 0.5], [4.0004, 0.5]]
    assert math.isclose(equality.check("x", found, [[2.0, 0.5], [4.0, 0.5]], 1e-3), 1e-4, rel_tol=1e-6)
    assert equality.check("x", [[0.5001]], [[0.5]], 1e-3) < 1.1e-4  # below 1 the difference is absolute


@pytest.mark.parametrize("value", [4.1, float("nan"), float("inf")])
def test_unequal_results_are_refused(value):
    with pytest.raises(NSNError, match=r"bench: x found .* at step 2, expected 4.0 within 0.001"):
        equality.check("x", [[2.0], [value]], [[2.0], [4.0]], 1e-3)


def test_a_missing_result_is_refused():
    with pytest.raises(ValueError):
        equality.check("x", [[2.0]], [[2.0], [4.0]], 1e-3)
