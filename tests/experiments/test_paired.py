"""The corrected resampled t-interval against a worked example and a simulation of correlated splits."""

import numpy as np
import pytest

from nsn_ref.errors import OptionError
from nsn_ref.experiments.paired import corrected_interval


def test_worked_example():
    """Differences 1, 2, 3, 4, 5: mean 3, s^2 = 2.5; five folds: 2.5 (1/5 + 1/4) = 1.125; t(4; 0.975) = 2.776445."""
    interval = corrected_interval([1, 2, 3, 4, 5], 1 / 4)
    assert interval.mean == 3
    assert interval.high - 3 == pytest.approx(2.776445105 * 1.125**0.5, rel=1e-9)
    assert 3 - interval.low == pytest.approx(interval.high - 3, rel=1e-12)
    narrow = corrected_interval([1, 2, 3, 4, 5], 1 / 4, confidence=0.5)
    assert narrow.high - 3 == pytest.approx(0.740697084 * 1.125**0.5, rel=1e-9)


def test_coverage_where_splits_are_correlated(rng):
    """Differences with the correlation rho = n_test / (n_test + n_train), for which the correction is exact."""
    trials, J, rho = 4000, 15, 1 / 5
    shared, own = rng.standard_normal((trials, 1)), rng.standard_normal((trials, J))
    differences = 0.7 + np.sqrt(rho) * shared + np.sqrt(1 - rho) * own
    inside = [low <= 0.7 <= high for _, low, high in (corrected_interval(row, 1 / 4) for row in differences)]
    assert abs(np.mean(inside) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / trials)


def test_bad_input_is_named():
    with pytest.raises(OptionError, match="number of differences is 1"):
        corrected_interval([1.0], 0.25)
    with pytest.raises(OptionError, match="test_to_train"):
        corrected_interval([1.0, 2.0], 0)
    with pytest.raises(OptionError, match="confidence"):
        corrected_interval([1.0, 2.0], 0.25, confidence=1)
