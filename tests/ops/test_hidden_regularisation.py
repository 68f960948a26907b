"""hidden_regularisation against a scalar loop, exact algebra and the complex step."""

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

from nsn_ref.errors import NonFiniteError, ShapeError
from nsn_ref.ops.hidden_regularisation import hidden_regularisation_backward, hidden_regularisation_forward

shapes = distinct_primes(2).flatmap(lambda sizes: leading_axes(sizes[0]).map(lambda axes: (*axes, sizes[1])))


@given(shapes, seeds)
def test_forward_is_the_mean_over_rows_exactly(shape, seed):
    rng = np.random.default_rng(seed)
    h_anchor, h_variant = random_fractions(rng, *shape), random_fractions(rng, *shape)
    penalty, saved = hidden_regularisation_forward(h_anchor, h_variant)
    per_row = [
        sum((a - b) ** 2 for a, b in zip(h_anchor[index], h_variant[index], strict=True))
        for index in np.ndindex(*shape[:-1])
    ]
    assert penalty == sum(per_row) / len(per_row)
    assert_number_type(Fraction, penalty, *hidden_regularisation_backward(penalty, saved))


@given(shapes, seeds)
def test_backward_is_the_derivative_exactly(shape, seed):
    """The penalty is quadratic, so f(p + v) - f(p - v) = 2 <df, v> with no error at all."""
    rng = np.random.default_rng(seed)
    a, b, va, vb = (random_fractions(rng, *shape) for _ in range(4))
    _, saved = hidden_regularisation_forward(a, b)
    da, db = hidden_regularisation_backward(Fraction(-7, 3), saved)
    difference = hidden_regularisation_forward(a + va, b + vb)[0] - hidden_regularisation_forward(a - va, b - vb)[0]
    assert Fraction(-7, 3) * difference == 2 * ((da * va).sum() + (db * vb).sum())


@given(shapes, seeds)
def test_backward_agrees_with_the_complex_step(shape, seed):
    rng = np.random.default_rng(seed)
    h_anchor, h_variant = normal(rng, shape, shape)
    for value in (h_anchor, *adversarial(rng, h_anchor)):
        assert_gradient(hidden_regularisation_forward, hidden_regularisation_backward, [value, h_variant], rng)


def test_stopped_anchor_gets_exactly_zero_and_the_variant_its_usual_gradient(rng):
    """With the anchor constant, the forward is a function of the variant alone."""
    h_anchor, h_variant = normal(rng, (5, 3), (5, 3))
    penalty, saved = hidden_regularisation_forward(h_anchor, h_variant, stop_anchor=True)
    dh_anchor, _ = hidden_regularisation_backward(1.0, saved)
    assert penalty == hidden_regularisation_forward(h_anchor, h_variant)[0]
    assert (dh_anchor == 0).all()
    assert_gradient(
        lambda h: hidden_regularisation_forward(constants(h_anchor, h), h, stop_anchor=True),
        lambda dpenalty, saved: hidden_regularisation_backward(dpenalty, saved)[1],
        [h_variant],
        rng,
    )


def test_float32_and_float64_are_within_the_rounding_bounds(rng):
    inputs = normal(rng, (5, 3), (5, 3))
    assert_certified(hidden_regularisation_forward, hidden_regularisation_backward, inputs, rng)


def test_bad_input_is_named(rng):
    h_anchor, h_variant = normal(rng, (5, 3), (5, 3))
    name = "hidden_regularisation_forward: "
    with pytest.raises(ShapeError, match=name + r"h_variant has shape \(5, 2\), expected \(\.\.\., d\) = \(5, 3\)"):
        hidden_regularisation_forward(h_anchor, h_variant[:, :2])
    with pytest.raises(ShapeError, match=name + r"h_anchor has shape \(0, 3\), expected at least one element"):
        hidden_regularisation_forward(h_anchor[:0], h_variant[:0])
    with pytest.raises(NonFiniteError, match="h_variant has NaN or infinity"):
        hidden_regularisation_forward(h_anchor, h_variant * np.nan)
    _, saved = hidden_regularisation_forward(h_anchor, h_variant)
    with pytest.raises(NonFiniteError, match="hidden_regularisation_backward: dpenalty has NaN or infinity"):
        hidden_regularisation_backward(np.nan, saved)
