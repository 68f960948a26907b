"""The digits: their folds, their standardisation, and what happens without scikit-learn."""

import sys

import numpy as np
import pytest

from nsn_ref.errors import DataError, OptionError
from nsn_ref.experiments.digits_data import load_scans, split, stratified_folds


def test_folds_are_a_stratified_partition(rng):
    labels = rng.integers(0, 4, 103)
    folds = stratified_folds(labels, 5, rng)
    assert sorted(np.concatenate(folds).tolist()) == list(range(103))
    assert {len(fold) for fold in folds} == {20, 21}
    counts = np.array([np.bincount(labels[fold], minlength=4) for fold in folds])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()


def test_folds_depend_on_the_generator_alone():
    labels = np.arange(50) % 3
    first, again, other = (stratified_folds(labels, 5, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
    with pytest.raises(OptionError, match="folds is 1"):
        stratified_folds(labels, 1, np.random.default_rng(1))


def test_constants_come_from_the_training_rows_alone(rng):
    x, y = rng.standard_normal((30, 4)) * 3 + 5, np.arange(30)
    held_out = np.array([2, 11, 29])
    first = split(x, y, held_out)
    assert first.y_test.tolist() == [2, 11, 29] and len(first.x_train) == 27
    assert first.x_train.dtype == first.x_test.dtype == np.float32
    np.testing.assert_allclose(first.x_train.mean(axis=0), 0, atol=1e-6)
    assert float(np.mean(first.x_train.astype(float) ** 2)) == pytest.approx(1, rel=1e-6)
    changed = x.copy()
    changed[held_out] += 100
    second = split(changed, y, held_out)
    assert (second.x_train == first.x_train).all()
    np.testing.assert_allclose(second.x_test - first.x_test, (second.x_test - first.x_test)[0, 0], rtol=1e-5)


def test_the_scans():
    pytest.importorskip("sklearn")
    x, y = load_scans()
    assert x.shape == (1797, 64) and (x.min(), x.max()) == (0, 16) and set(y.tolist()) == set(range(10))
    assert x.dtype == np.float64 and y.dtype == np.int64


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=r"scikit-learn.*extra 'experiments': python -m pip install"):
        load_scans()
