"""Weights are those that are named, and a training whose weights cease to exist is told."""

import numpy as np
import pytest

from nsn_ref.experiments.data import made
from nsn_ref.experiments.paper import ablation
from nsn_ref.experiments.paper.weighting import WEIGHTINGS, run


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_objectives(digits, options, runs, name):
    found = run(digits, options(weighting=name, epochs=2), 0)
    (trained,), chosen = runs, WEIGHTINGS[name]
    assert found["stopped_after"] is None and trained.config.objective.kind == chosen["kind"]
    if chosen["kind"] == "fixed":
        assert trained.config.objective.weights == (chosen["below"],) * 7 + (chosen["top"],)
    assert trained.config.lr_s == chosen.get("lr_s", 0.001)


def test_a_plain_sum_is_the_row_of_the_ablation(digits, options):
    found = run(digits, options(weighting="plain sum"), 0)
    assert found.pop("stopped_after") is None
    assert found == ablation.run(digits, options(row="two cross-entropies"), 0)


def test_a_loss_of_zero_stops_weights_that_divide_by_it(rng, options):
    """Classes so far apart that the loss is 0 in float32 long before the end."""
    y = np.arange(200) % 2
    x = rng.standard_normal((200, 3)) + 50 * np.outer(y, [1, -1, 1])
    far = made("far", x, y, one_unit=True)
    found = run(far, options(weighting="analytic, 1 / L", epochs=300), 0)
    assert 0 < found["stopped_after"] < 300 * 3
    assert found["trained"]["8"] == 1.0
    assert run(far, options(weighting="plain sum", epochs=300), 0)["stopped_after"] is None
