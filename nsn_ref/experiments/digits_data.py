"""Scikit-learn's digits: 1,797 scans of handwritten digits, 8 x 8 pixels with values 0..16, ten classes."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import DataError

WIDTH, CLASSES = 64, 10


class Split(NamedTuple):
    """Rows to train on and rows held out, standardised by what the former alone say."""

    x_train: np.ndarray  # (n, 64), float32
    y_train: np.ndarray  # (n,)
    x_test: np.ndarray  # (m, 64), float32
    y_test: np.ndarray  # (m,)


def load_scans():
    """Pixels and labels of all scans.

    Returns
    -------
    x : ndarray, shape (1797, 64), float64
    y : ndarray, shape (1797,), int64

    Raises
    ------
    DataError
        Scikit-learn, which ships the scans, is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(
            f"digits: scikit-learn, which ships the scans, cannot be imported ({error}); "
            "expected the extra 'experiments': python -m pip install 'nsn_ref[experiments]'"
        ) from error
    x, y = load_digits(return_X_y=True)
    return x, y.astype(np.int64)


def stratified_folds(labels, folds, rng):
    """Deal the rows of each class, shuffled, to the folds in turn.

    The classes deal one after another, so the sizes of folds differ by at most one, and so do the counts of a class.

    Parameters
    ----------
    labels : ndarray, shape (n,)
    folds : int, >= 2
    rng : numpy.random.Generator

    Returns
    -------
    list of ndarray
        Row numbers of each fold, ascending.

    Raises
    ------
    OptionError
    """
    checks.integer("stratified_folds", "folds", folds, 2, len(labels))
    order = np.concatenate([rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)])
    return [np.sort(order[k::folds]) for k in range(folds)]


def split(x, y, held_out):
    """Hold out rows; subtract each pixel's mean over the others and divide by the one deviation of all their pixels.

    A deviation for each pixel would blow up those that are blank on nearly every scan.
    """
    test = np.zeros(len(x), dtype=bool)
    test[held_out] = True
    mean = x[~test].mean(axis=0)
    scale = np.sqrt(((x[~test] - mean) ** 2).mean())
    standard = ((x - mean) / scale).astype(np.float32)
    return Split(standard[~test], y[~test], standard[test], y[test])
