"""A setting of distinct primes, rows to train on, and what methods drew."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from nsn_ref.experiments.comparators.setting import Setting
from nsn_ref.experiments.data import made, split


@pytest.fixture
def setting():
    """Three budgets, of the hidden widths 5, 8 and 11."""
    return Setting(d_in=7, classes=3, hidden=(13, 11), ranks=(1, 3, 5), epochs=3)


@pytest.fixture
def rows():
    """Two batches of an epoch, the second one smaller."""
    rng = np.random.default_rng(3)
    y = np.arange(101) % 3
    return split(made("made", rng.standard_normal((101, 7)) + y[:, None], y, one_unit=True), 0)


@pytest.fixture
def batch(rows):
    """Rows and labels, float64."""
    return rows.x_train[:17].astype(np.float64), rows.y_train[:17]


@pytest.fixture
def recorded(monkeypatch):
    """A function: replace ``module.name`` by itself, and return the list of one argument's values as it is called."""

    def record(module, name, place):
        calls, function = [], getattr(module, name)

        def wrapper(*args, **options):
            calls.append(args[place])
            return function(*args, **options)

        monkeypatch.setattr(module, name, wrapper)
        return calls

    return record
