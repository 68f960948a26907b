"""Objectives: their options, and the weights that GradNorm carries from step to step."""

import numpy as np
import pytest

from nsn_ref import ops
from nsn_ref.errors import OptionError
from nsn_ref.training.weighting import SMALLEST_WEIGHT, Objective, weigh

LOSSES, RANKS = np.array([0.5, 2.0, 0.25]), [5, 1, 3]


def test_objective_options():
    with pytest.raises(OptionError, match=r"Objective: weights is None, expected a weight for each rank"):
        Objective("fixed")
    with pytest.raises(OptionError, match=r"Objective: weights is \(1.0,\), expected None for 'sum'"):
        Objective("sum", (1.0,))
    with pytest.raises(OptionError, match=r"Objective: weights\[1\] is -1.0"):
        Objective("fixed", (1.0, -1.0))
    for option in ({"temperature": 0.0}, {"alpha": -1.0}, {"lr": 0.0}):
        with pytest.raises(OptionError, match=f"Objective: {next(iter(option))} is"):
            Objective("gradnorm", **option)


def test_only_gradnorm_has_a_state():
    assert Objective("uncertainty").start(5, LOSSES) == {}
    state = Objective("gradnorm").start(5, LOSSES)
    assert (state["weights"] == 1).all() and (state["first_losses"] == 0).all()


@pytest.mark.parametrize("kind", ["sum", "analytic", "softmax", "fixed"])
def test_weights_multiply_losses(kind):
    fixed = (0.5, 9.0, 2.0, 9.0, 4.0)
    objective = Objective(kind, fixed if kind == "fixed" else None, temperature=2.0)
    inverse = np.exp(1 / (2 * LOSSES))
    expected = {"sum": 1, "analytic": 1 / LOSSES, "softmax": inverse / inverse.sum(), "fixed": [4.0, 0.5, 2.0]}[kind]
    found = weigh(objective, LOSSES, np.zeros(5), RANKS, ops, {})
    assert found.dlosses == pytest.approx(np.broadcast_to(expected, 3), rel=1e-15)
    assert found.total == pytest.approx((expected * LOSSES).sum(), rel=1e-15)
    assert (found.ds == 0).all() and found.state == {}


def test_gradnorm_carries_first_losses_and_renormalised_weights():
    objective = Objective("gradnorm", lr=0.1)
    first = weigh(objective, LOSSES, np.zeros(5), RANKS, ops, objective.start(5, LOSSES), np.array([3.0, 1.0, 2.0]))
    assert first.state["first_losses"].tolist() == [2.0, 0, 0.25, 0, 0.5]
    assert first.state["weights"] == pytest.approx(np.array([1.1, 1, 1, 1, 0.7]) * 5 / 4.8, rel=1e-14)  # mean norm 2
    assert first.total == pytest.approx((first.state["weights"][[4, 0, 2]] * LOSSES).sum(), rel=1e-14)
    second = weigh(objective, LOSSES / 2, np.zeros(5), RANKS, ops, first.state, np.array([3.0, 1.0, 2.0]))
    assert (second.state["first_losses"] == first.state["first_losses"]).all()
    assert second.state["weights"].sum() == pytest.approx(5, rel=1e-14)


def test_gradnorm_keeps_weights_positive():
    objective = Objective("gradnorm", lr=10.0)
    found = weigh(objective, LOSSES, np.zeros(5), RANKS, ops, objective.start(5, LOSSES), np.array([3.0, 1.0, 1.0]))
    moved = np.array([11.0, 1, 11.0, 1, SMALLEST_WEIGHT])
    assert found.state["weights"] == pytest.approx(moved * 5 / moved.sum(), rel=1e-13)
