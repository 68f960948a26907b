"""The dynamic programme against all combinations, and its chain."""

import itertools

import numpy as np
import pytest

from nsn_ref.errors import OptionError
from nsn_ref.surgery import allocate as module
from nsn_ref.surgery.allocate import allocate


def instance(rng, layers=4):
    """Costs and errors of up to four candidates for each layer; errors need not decrease."""
    counts = rng.integers(1, 5, layers)
    costs = [np.sort(rng.choice(np.arange(1, 40), count, replace=False)).tolist() for count in counts]
    errors = [(rng.random(count) * 2.0 ** -rng.integers(0, 8)).tolist() for count in counts]
    return costs, errors


def by_trying_all(costs, errors, budget, floor):
    """Least total error of every combination within the budget, none below the floor."""
    totals = [
        sum(e[p] for e, p in zip(errors, picks, strict=True))
        for picks in itertools.product(*(range(low, len(c)) for c, low in zip(costs, floor, strict=True)))
        if sum(c[p] for c, p in zip(costs, picks, strict=True)) <= budget
    ]
    return min(totals)


@pytest.mark.parametrize("unit", [1, 6])
def test_against_all_combinations(rng, unit):
    """Every budget's solution is the best of those above the one before; the first is the best of all."""
    for _ in range(40):
        costs, errors = instance(rng)
        costs = [[unit * c for c in layer] for layer in costs]
        low, high = (sum(c[i] for c in costs) for i in (0, -1))
        budgets = np.unique(rng.integers(low, high + 9, 5)).tolist()
        floor = [0] * len(costs)
        for budget, choice in zip(budgets, allocate(costs, errors, budgets), strict=True):
            assert choice.cost == sum(c[p] for c, p in zip(costs, choice.picks, strict=True)) <= budget
            assert abs(choice.error - by_trying_all(costs, errors, budget, floor)) <= 1e-15 * len(costs)
            assert all(pick >= low for pick, low in zip(choice.picks, floor, strict=True))
            floor = choice.picks


def test_a_layer_that_matters_gets_the_components():
    costs = [[10, 20, 30, 40]] * 2
    chain = allocate(costs, [[8.0, 4.0, 2.0, 1.0], [0.8, 0.4, 0.2, 0.1]], [20, 40, 50, 80])
    assert [choice.picks for choice in chain] == [(0, 0), (2, 0), (3, 0), (3, 3)]


def test_coarse_units_keep_the_budget(rng, monkeypatch):
    """Fewer states than costs: the budget holds, the chain holds, the error is at most that of a smaller budget."""
    costs = [np.cumsum(rng.integers(1, 1000, 6)).tolist() for _ in range(5)]
    errors = [np.sort(rng.random(6))[::-1].tolist() for _ in range(5)]
    budgets = np.linspace(sum(c[0] for c in costs), sum(c[-1] for c in costs), 9).astype(int).tolist()
    exact = allocate(costs, errors, budgets)
    monkeypatch.setattr(module, "STATES", 200)
    floor = (0,) * 5
    for budget, choice in zip(budgets, allocate(costs, errors, budgets), strict=True):
        assert choice.cost <= budget and all(np.array(choice.picks) >= floor)
        floor = choice.picks
    (less,) = allocate(costs, errors, [budgets[4] - 5 * (budgets[4] // 200 + 1)])
    monkeypatch.setattr(module, "STATES", 2**16)
    (at,) = allocate(costs, errors, [budgets[4]])
    assert at.error <= less.error and exact[0].picks == (0,) * 5


def test_bad_input_is_named():
    for arguments, message in (
        (([], [], [1]), "got costs of 0 layers and errors of 0"),
        (([[1]], [[0.1, 0.2]], [1]), "layer 0 has 1 costs and 2 errors"),
        (([[2, 1]], [[0.1, 0.2]], [1]), r"costs\[0\] is \[2, 1\], expected increasing integers above 0"),
        (([[0, 1]], [[0.1, 0.2]], [1]), r"costs\[0\] is \[0, 1\]"),
        (([[1, 2]], [[0.1, float("nan")]], [1]), r"errors\[0\] is \[0\.1, nan\], expected finite numbers >= 0"),
        (([[1, 2]], [[0.2, 0.1]], [2, 1]), r"budgets is \[2, 1\], expected increasing"),
        (([[3, 4]], [[0.2, 0.1]], [2]), r"budgets\[0\] is 2, expected at least 3, the cheapest candidates"),
    ):
        with pytest.raises(OptionError, match=f"allocate: {message}"):
            allocate(*arguments)
