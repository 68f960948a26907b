"""Paired comparison of two models over the splits of a repeated cross-validation."""

import math
from typing import NamedTuple

import numpy as np

from nsn_ref import checks


class Interval(NamedTuple):
    """A mean difference and where the true one lies with the stated confidence."""

    mean: float
    low: float
    high: float


def corrected_interval(differences, test_to_train, *, confidence=0.95):
    """Corrected resampled t-interval of a mean difference.

    Splits share training rows, so their differences are correlated and the usual variance s^2 / J is too small. It is
    replaced by s^2 (1 / J + test_to_train), with J - 1 degrees of freedom.

    Parameters
    ----------
    differences : array-like, shape (J,), J >= 2
        One for each split.
    test_to_train : float, > 0
        Rows held out, relative to rows trained on: 1 / (k - 1) for k folds.
    confidence : float, in (0, 1)

    Returns
    -------
    Interval

    Raises
    ------
    OptionError

    Notes
    -----
    Source: Nadeau & Bengio, Machine Learning 52 (2003), pp. 239-281, sec. 4; for repeated cross-validation Bouckaert &
    Frank, PAKDD 2004.
    """
    from scipy.special import stdtrit

    differences = np.asarray(differences, dtype=np.float64)
    J = differences.size
    checks.integer("corrected_interval", "number of differences", J, 2)
    checks.between("corrected_interval", "test_to_train", test_to_train, 0, open_low=True, open_high=True)
    checks.between("corrected_interval", "confidence", confidence, 0, 1, open_low=True, open_high=True)
    mean = float(differences.mean())
    variance = float(differences.var(ddof=1)) * (1 / J + test_to_train)
    half = float(stdtrit(J - 1, (1 + confidence) / 2)) * math.sqrt(variance)
    return Interval(mean, mean - half, mean + half)
