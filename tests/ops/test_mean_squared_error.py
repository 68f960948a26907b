"""mean_squared_error against a scalar loop, exact algebra and the complex step."""

from fractions import Fraction

import numpy as np
import pytest
from helpers import (
    adversarial,
    assert_certified,
    assert_gradient,
    assert_number_type,
    constants,
    distinct_primes,
    leading_axes,
    normal,
    random_fractions,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.errors import DTypeError, NonFiniteError, OptionError, ShapeError
from nsn_ref.ops.mean_squared_error import mean_squared_error_backward, mean_squared_error_forward

reductions = st.sampled_from(["mean", "sum"])


@given(distinct_primes(2).flatmap(lambda s: leading_axes(s[0]).map(lambda axes: (*axes, s[1]))), seeds, reductions)
def test_forward_is_the_mean_of_squares_exactly(shape, seed, reduction):
    rng = np.random.default_rng(seed)
    y, targets = random_fractions(rng, *shape), random_fractions(rng, *shape)
    loss, saved = mean_squared_error_forward(y, targets, reduction=reduction)
    total = Fraction(0)
    for index in np.ndindex(*shape):
        total += (y[index] - targets[index]) ** 2
    assert loss == (total / y.size if reduction == "mean" else total)
    assert_number_type(Fraction, loss, mean_squared_error_backward(loss, saved))


def test_backward_is_the_derivative_exactly(rng):
    """The loss is quadratic in y, so f(y + v) - f(y - v) = 2 <df, v> with no error at all."""
    y, targets, v = (random_fractions(rng, 5, 3) for _ in range(3))
    for reduction in ("mean", "sum"):
        _, saved = mean_squared_error_forward(y, targets, reduction=reduction)
        up, down = (mean_squared_error_forward(p, targets, reduction=reduction)[0] for p in (y + v, y - v))
        dloss = Fraction(-7, 3)
        assert dloss * (up - down) == 2 * (mean_squared_error_backward(dloss, saved) * v).sum()


@given(distinct_primes(2), seeds, reductions)
def test_backward_agrees_with_the_complex_step(shape, seed, reduction):
    rng = np.random.default_rng(seed)
    y, targets = normal(rng, shape, shape)
    for value in (y, *adversarial(rng, y)):
        assert_gradient(
            lambda y: mean_squared_error_forward(y, constants(targets, y), reduction=reduction),
            mean_squared_error_backward,
            [value],
            rng,
        )


def test_float32_and_float64_are_within_the_rounding_bounds(rng):
    targets = rng.integers(-9, 10, (5, 3)) / 4
    assert_certified(
        lambda y: mean_squared_error_forward(y, constants(targets, y)),
        mean_squared_error_backward,
        normal(rng, (5, 3)),
        rng,
    )


def test_bad_input_is_named(rng):
    y, targets = normal(rng, (5, 3), (5, 3))
    with pytest.raises(
        ShapeError, match=r"mean_squared_error_forward: targets has shape \(5,\), expected \(5, 3\) as y"
    ):
        mean_squared_error_forward(y, targets[:, 0])
    with pytest.raises(ShapeError, match=r"y has shape \(0, 3\), expected at least one element"):
        mean_squared_error_forward(y[:0], targets[:0])
    with pytest.raises(OptionError, match="reduction is None, expected one of 'mean', 'sum'"):
        mean_squared_error_forward(y, targets, reduction=None)
    with pytest.raises(DTypeError, match="targets holds float32, expected float64 as y does"):
        mean_squared_error_forward(y, targets.astype(np.float32))
    with pytest.raises(NonFiniteError, match="targets has NaN or infinity"):
        mean_squared_error_forward(y, targets * np.inf)
    _, saved = mean_squared_error_forward(y, targets)
    with pytest.raises(NonFiniteError, match="mean_squared_error_backward: dloss has NaN or infinity"):
        mean_squared_error_backward(np.float64("nan"), saved)
