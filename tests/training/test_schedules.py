"""Schedules against their values at known steps."""

import itertools
import math

import pytest

from nsn_ref.errors import OptionError
from nsn_ref.training.schedules import constant, cosine, learning_rate, warmup

U = 2.0**-53


def test_constant_is_constant():
    assert {constant(step, lr=0.3) for step in range(10)} == {0.3}


def test_warmup_rises_by_equal_parts_and_stays():
    assert [warmup(step, lr=2.0, steps=4) for step in range(6)] == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]


def test_cosine_at_known_angles():
    """0, 60, 90, 120 and 180 degrees; the cosine itself is off by at most a few u."""
    rates = [cosine(step, lr=3.0, steps=6, final=1.0) for step in (0, 2, 3, 4, 6, 7)]
    for rate, expected in zip(rates, [3.0, 2.5, 2.0, 1.5, 1.0, 1.0], strict=True):
        assert abs(rate - expected) <= 8 * U * 3


def test_cosine_falls_and_is_symmetric():
    rates = [cosine(step, lr=1.0, steps=101) for step in range(102)]
    assert all(a > b for a, b in itertools.pairwise(rates))
    assert all(abs(a + b - 1) <= 8 * U for a, b in zip(rates, reversed(rates), strict=True))


def test_warmup_then_cosine_over_the_steps_that_remain():
    rates = [learning_rate(t, schedule="cosine", lr=1.0, steps=14, warmup_steps=4) for t in range(14)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[4:] == [cosine(t, lr=1.0, steps=10) for t in range(10)]
    assert min(rates) > 0


def test_warmup_then_constant():
    rates = [learning_rate(t, schedule="constant", lr=1.0, steps=6, warmup_steps=2) for t in range(6)]
    assert rates == [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]


def test_warmup_may_take_every_step():
    rates = [learning_rate(t, schedule="cosine", lr=1.0, steps=4, warmup_steps=4) for t in range(4)]
    assert rates == [0.25, 0.5, 0.75, 1.0]


def test_bad_input_is_named():
    good = {"schedule": "cosine", "lr": 1.0, "steps": 10}
    for bad, message in (
        ({"schedule": "linear"}, "schedule is 'linear', expected one of 'constant', 'cosine'"),
        ({"steps": 0}, "steps is 0, expected an integer of at least 1"),
        ({"warmup_steps": 11}, r"warmup_steps is 11, expected an integer in 0\.\.10"),
        ({"lr": math.nan}, r"lr is nan, expected a number in \[0, inf\)"),
        ({"final": 2.0}, r"final is 2\.0, expected a number in \[0, 1\.0\]"),
    ):
        with pytest.raises(OptionError, match=message):
            learning_rate(0, **{**good, **bad})
    for step in (-1, 10, 0.5):
        with pytest.raises(OptionError, match=r"learning_rate: step is .*, expected an integer in 0\.\.9"):
            learning_rate(step, **good)
