"""Digits, a spy on the trainings of an experiment, and a network run by hand."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from nsn_ref.experiments.data import load
from nsn_ref.experiments.paper import recipe


@pytest.fixture(scope="session")
def digits():
    return load("digits")


@pytest.fixture
def options():
    """A function: the options of a cell of the smallest size."""
    return lambda **chosen: recipe.FORMS["smoke"] | chosen


@pytest.fixture
def runs(monkeypatch):
    """Every training that the test's experiments finish, in turn."""
    finished = []

    def spy(*args, **options):
        finished.append(train(*args, **options))
        return finished[-1]

    train = recipe.train
    monkeypatch.setattr(recipe, "train", spy)
    return finished


@pytest.fixture
def by_hand():
    """A function: logits of a network with two hidden layers at a rank, from multiplied weights."""

    def logits(params, x, rank):
        for i in range(2):
            W = params[f"layers.{i}.B"][:, :rank] @ params[f"layers.{i}.A"][:rank]
            x = np.maximum(x @ W.T + params[f"layers.{i}.b"], 0)
        return x @ params["layers.2.W"].T + params["layers.2.b"]

    return logits
