"""Ranks, the length of a training, and accuracies and losses against their definitions."""

import numpy as np
import pytest

from nsn_ref.experiments.data import split
from nsn_ref.experiments.paper import recipe


def test_ranks():
    assert recipe.trained_ranks(64) == (1, 2, 4, 8, 16, 32, 64)
    assert recipe.trained_ranks(6) == (1, 2, 4, 6) and recipe.trained_ranks(1) == (1,)
    assert recipe.untrained_ranks(64) == (3, 5, 10, 20, 30, 40, 50)
    assert recipe.untrained_ranks(10) == (3, 5)  # 10 is trained


def test_accuracies_and_losses(digits, options, by_hand):
    rows = split(digits, 3)
    run = recipe.fit_nested(digits, rows, options(), 3)
    found = recipe.accuracies(run, rows, (1, 3, 8))
    losses = recipe.losses(run, rows.x_test, rows.y_test, (1, 3, 8))
    for rank in (1, 3, 8):
        z = by_hand(run.params, rows.x_test.astype(np.float64), rank)
        assert found[str(rank)] == np.mean(z.argmax(axis=1) == rows.y_test)
        picked = z[np.arange(len(z)), rows.y_test]
        assert losses[str(rank)] == pytest.approx(np.mean(np.log(np.exp(z).sum(axis=1)) - picked), rel=1e-5)


def test_trainings_last_as_many_epochs_and_visit_the_trained_ranks(digits, options):
    rows = split(digits, 0)
    run = recipe.fit_nested(digits, rows, options(epochs=3), 0)
    assert run.steps == 3 * -(-len(rows.x_train) // 64)
    assert {tuple(record["ranks"]) for record in run.metrics} == {(8, 1), (8, 2), (8, 4)}
