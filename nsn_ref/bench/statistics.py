"""Medians, ranges, means and lines."""

import math
import statistics
from typing import NamedTuple


class Line(NamedTuple):
    """A fitted line y = intercept + slope x."""

    slope: float
    intercept: float
    r_squared: float


def spread(values):
    """Median, smallest and largest."""
    return statistics.median(values), min(values), max(values)


def median(values):
    """The middle one, or the mean of the middle two."""
    return statistics.median(values)


def geometric_mean(values):
    """The n-th root of the product of n numbers."""
    return math.exp(sum(map(math.log, values)) / len(values))


def fit_line(x, y):
    """The line with the least squares, and the share of the variance of y that it explains."""
    slope, intercept = statistics.linear_regression(x, y)
    return Line(slope, intercept, statistics.correlation(x, y) ** 2)
