"""The problem is what it says, no error is below Eckart-Young's, and nested training comes close to it."""

import numpy as np
import pytest

from nsn_ref.experiments.paper.oracle import D_IN, D_OUT, ROWS, SINGULAR_VALUES, problem, run
from nsn_ref.ops import mean_squared_error_forward


def test_inputs_are_white_and_singular_values_are_given():
    W, x = problem(3)
    assert x.T @ x == pytest.approx(ROWS * np.eye(D_IN)) and x.sum(axis=0) == pytest.approx(np.zeros(D_IN))
    assert np.linalg.svd(W, compute_uv=False) == pytest.approx(SINGULAR_VALUES)


def test_the_loss_is_the_distance_of_the_weights(rng):
    W, x = problem(0)
    V = rng.standard_normal(W.shape)
    loss, _ = mean_squared_error_forward(x @ V.T, x @ W.T)
    assert loss == pytest.approx(np.linalg.norm(V - W) ** 2 / D_OUT)


def excesses(training, steps):
    found = run(None, {"steps": steps, "training": training}, 0)
    W, _ = problem(0)
    least = {str(r): np.sum(np.linalg.svd(W, compute_uv=False)[r:] ** 2) for r in range(1, 9)}
    assert found["least"] == pytest.approx(least)
    assert all(found["error"][r] >= least[r] * (1 - 1e-12) for r in least)
    return {int(r): found["error"][r] / least[r] - 1 for r in least}


def test_nested_training_comes_close_at_every_rank():
    assert max(excesses("every rank at every step, Eq. 3", 1000).values()) < 0.01


def test_training_at_the_largest_rank_alone_does_not():
    found = excesses("R alone", 1000)
    assert found[8] < 0.01 and min(found[r] for r in range(1, 8)) > 0.5
