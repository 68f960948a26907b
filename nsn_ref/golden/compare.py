"""The comparison of one tensor with the truth."""

from typing import NamedTuple

import numpy as np


class TensorResult(NamedTuple):
    """The worst element of one output."""

    name: str
    passed: bool
    rho: float  # error / bound; 0 where both are 0, infinite where only the bound is or the output is not a number
    index: tuple
    got: float
    expected: float
    bound: float


def tensor(name, got, expected, bound):
    """Compare every element with its bound, and report the worst one."""
    got = np.asarray(got, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        error = np.abs(got - expected)
        passed = error <= bound  # False for NaN
        rho = np.where(passed & (bound == 0), 0.0, error / bound)
    rho = np.where(np.isnan(rho), np.inf, rho)
    worst = np.unravel_index(np.argmax(rho), rho.shape)
    at = (float(array[worst]) for array in (got, expected, bound))
    return TensorResult(name, bool(passed.all()), float(rho[worst]), tuple(map(int, worst)), *at)
