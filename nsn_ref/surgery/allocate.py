"""A rank for each layer under a budget, by dynamic programming; more budget never takes a component away."""

import math
from typing import NamedTuple

import numpy as np

from nsn_ref.errors import OptionError

STATES = 2**16  # budgets that the programme tells apart; costs are rounded up to these


class Choice(NamedTuple):
    """What one budget buys."""

    picks: tuple  # of each layer, which of its candidates
    cost: int
    error: float


def allocate(costs, errors, budgets):
    """For each budget, the candidates of least total error among those that are no worse off than with less budget.

    The smallest budget is solved first. From then on every layer keeps at least the candidate that it has, which makes
    the solutions a chain, and the larger ones a little dearer than without that condition.

    Parameters
    ----------
    costs : sequence of L sequences of int, > 0
        Of each layer's candidates, strictly increasing.
    errors : sequence of L sequences of float, >= 0
        Of the same candidates. What is minimised is their sum over the layers.
    budgets : sequence of int
        Strictly increasing.

    Returns
    -------
    list of Choice
        One for each budget.

    Raises
    ------
    OptionError
        The first budget is below the sum of the cheapest candidates, or an argument is not as described.

    Notes
    -----
    Source: the layer-wise dynamic programme and its nested chain are FlexRank's, arXiv:2602.02680; here a chain is
    built from its small end.

    Exact, as long as the budget has at most `STATES` multiples of the costs' common divisor. Beyond that costs are
    rounded up to a coarser unit: the budget still holds, and what the rounding can waste is less than one unit for each
    layer.
    """
    _check(costs, errors, budgets)
    floor, chain = [0] * len(costs), []
    for budget in budgets:
        picks = _best(costs, errors, budget, floor)
        spent = sum(cost[pick] for cost, pick in zip(costs, picks, strict=True))
        chain.append(Choice(tuple(picks), spent, sum(error[pick] for error, pick in zip(errors, picks, strict=True))))
        floor = picks
    return chain


def _best(costs, errors, budget, floor):
    """The candidates of least total error, none below `floor`; the floor itself where rounding leaves nothing else."""
    unit = math.gcd(*(cost for layer in costs for cost in layer))
    unit *= max(1, math.ceil(budget / unit / STATES))
    least = np.zeros(budget // unit + 1)  # least[c]: the least error of the layers so far, at a total cost of at most c
    choices = []
    for layer_costs, layer_errors, lowest in zip(costs, errors, floor, strict=True):
        totals = np.full((len(layer_costs) - lowest, len(least)), np.inf)
        for row, cost, error in zip(totals, layer_costs[lowest:], layer_errors[lowest:], strict=True):
            spent = math.ceil(cost / unit)
            row[spent:] = least[: max(len(least) - spent, 0)] + error
        choices.append(lowest + np.argmin(totals, axis=0))
        least = totals.min(axis=0)
    if least[-1] == np.inf:
        return list(floor)
    left, picks = len(least) - 1, []
    for layer_costs, choice in zip(reversed(costs), reversed(choices), strict=True):
        picks.append(int(choice[left]))
        left -= math.ceil(layer_costs[picks[-1]] / unit)
    return picks[::-1]


def _check(costs, errors, budgets):
    if not costs or len(costs) != len(errors):
        raise OptionError(f"allocate: got costs of {len(costs)} layers and errors of {len(errors)}, expected as many")
    for i, (cost, error) in enumerate(zip(costs, errors, strict=True)):
        if len(cost) != len(error) or not len(cost):
            raise OptionError(f"allocate: layer {i} has {len(cost)} costs and {len(error)} errors, expected as many")
        if not _increasing(cost) or cost[0] <= 0:
            raise OptionError(f"allocate: costs[{i}] is {list(cost)!r}, expected increasing integers above 0")
        if not all(0 <= e < math.inf for e in error):
            raise OptionError(f"allocate: errors[{i}] is {list(error)!r}, expected finite numbers >= 0")
    if not _increasing(budgets) or not len(budgets):
        raise OptionError(f"allocate: budgets is {list(budgets)!r}, expected increasing integers")
    cheapest = sum(cost[0] for cost in costs)
    if budgets[0] < cheapest:
        raise OptionError(
            f"allocate: budgets[0] is {budgets[0]}, expected at least {cheapest}, the cheapest candidates"
        )


def _increasing(values):
    return all(isinstance(v, (int, np.integer)) for v in values) and all(np.diff(values) > 0)
