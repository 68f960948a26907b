"""Exponentials of a row against balls: within two units in the last place, NaN and far numbers included."""

import numpy as np
import pytest
from flint import arb

from nsn_ref.certify.balls import working_precision
from nsn_ref.kernels.exponential import exp_in_place


def ulps(found, x):
    """Distance from the true exponential, in units in the last place of the result."""
    with working_precision(200):
        truth = [arb(float(value)).exp() for value in x]
        spacing = [float(np.spacing(x.dtype.type(float(t)))) for t in truth]
        return np.array([abs(float((arb(float(y)) - t) / s)) for y, t, s in zip(found, truth, spacing, strict=True)])


@pytest.mark.parametrize(("dtype", "lowest"), [(np.float32, -87.0), (np.float64, -708.0)])
def test_exponentials_are_right_to_two_units(rng, dtype, lowest):
    near = -np.arange(12) * np.log(2) - 0.5 * np.log(2)  # where k changes
    x = np.concatenate([[0.0, -0.0, lowest], near, near - 1e-7, lowest * rng.random(200), -rng.random(200)]).astype(
        dtype
    )
    found = x.copy()
    exp_in_place(found)
    assert (ulps(found, x) <= 2).all()
    assert found[0] == found[1] == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_numbers_and_nan_go_one_by_one(dtype):
    x = np.array([-1.0, -1e3, np.nan, -np.inf, 1.05 * (-87.0 if dtype is np.float32 else -708.0), 0.0], dtype)
    found = x.copy()
    exp_in_place(found)
    assert np.isnan(found[2]) and found[1] == found[3] == 0 and found[5] == 1
    assert (ulps(found[[0, 4]], x[[0, 4]]) <= 2).all()
