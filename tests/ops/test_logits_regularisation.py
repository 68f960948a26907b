"""logits_regularisation against a scalar loop, exact algebra and the complex step."""

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
from nsn_ref.ops.logits_regularisation import logits_regularisation_backward, logits_regularisation_forward

shapes = distinct_primes(2).flatmap(lambda sizes: leading_axes(sizes[0]).map(lambda axes: (*axes, sizes[1])))


@given(shapes, seeds)
def test_forward_is_the_mean_over_rows_exactly(shape, seed):
    rng = np.random.default_rng(seed)
    z_anchor, z_variant = random_fractions(rng, *shape), random_fractions(rng, *shape)
    penalty, saved = logits_regularisation_forward(z_anchor, z_variant)
    per_row = [
        sum((a - b) ** 2 for a, b in zip(z_anchor[index], z_variant[index], strict=True))
        for index in np.ndindex(*shape[:-1])
    ]
    assert penalty == sum(per_row) / len(per_row)
    assert_number_type(Fraction, penalty, *logits_regularisation_backward(penalty, saved))


@given(shapes, seeds)
def test_backward_is_the_derivative_exactly(shape, seed):
    """The penalty is quadratic, so f(p + v) - f(p - v) = 2 <df, v> with no error at all."""
    rng = np.random.default_rng(seed)
    a, b, va, vb = (random_fractions(rng, *shape) for _ in range(4))
    _, saved = logits_regularisation_forward(a, b)
    da, db = logits_regularisation_backward(Fraction(-7, 3), saved)
    difference = logits_regularisation_forward(a + va, b + vb)[0] - logits_regularisation_forward(a - va, b - vb)[0]
    assert Fraction(-7, 3) * difference == 2 * ((da * va).sum() + (db * vb).sum())


@given(shapes, seeds)
def test_backward_agrees_with_the_complex_step(shape, seed):
    rng = np.random.default_rng(seed)
    z_anchor, z_variant = normal(rng, shape, shape)
    for value in (z_anchor, *adversarial(rng, z_anchor)):
        assert_gradient(logits_regularisation_forward, logits_regularisation_backward, [value, z_variant], rng)


def test_stopped_anchor_gets_exactly_zero_and_the_variant_its_usual_gradient(rng):
    """With the anchor constant, the forward is a function of the variant alone."""
    z_anchor, z_variant = normal(rng, (5, 3), (5, 3))
    penalty, saved = logits_regularisation_forward(z_anchor, z_variant, stop_anchor=True)
    dz_anchor, _ = logits_regularisation_backward(1.0, saved)
    assert penalty == logits_regularisation_forward(z_anchor, z_variant)[0]
    assert (dz_anchor == 0).all()
    assert_gradient(
        lambda z: logits_regularisation_forward(constants(z_anchor, z), z, stop_anchor=True),
        lambda dpenalty, saved: logits_regularisation_backward(dpenalty, saved)[1],
        [z_variant],
        rng,
    )


def test_float32_and_float64_are_within_the_rounding_bounds(rng):
    inputs = normal(rng, (5, 3), (5, 3))
    assert_certified(logits_regularisation_forward, logits_regularisation_backward, inputs, rng)


def test_bad_input_is_named(rng):
    z_anchor, z_variant = normal(rng, (5, 3), (5, 3))
    name = "logits_regularisation_forward: "
    with pytest.raises(ShapeError, match=name + r"z_variant has shape \(5, 2\), expected \(\.\.\., C\) = \(5, 3\)"):
        logits_regularisation_forward(z_anchor, z_variant[:, :2])
    with pytest.raises(ShapeError, match=name + r"z_anchor has shape \(0, 3\), expected at least one element"):
        logits_regularisation_forward(z_anchor[:0], z_variant[:0])
    with pytest.raises(NonFiniteError, match="z_variant has NaN or infinity"):
        logits_regularisation_forward(z_anchor, z_variant * np.nan)
    _, saved = logits_regularisation_forward(z_anchor, z_variant)
    with pytest.raises(NonFiniteError, match="logits_regularisation_backward: dpenalty has NaN or infinity"):
        logits_regularisation_backward(np.nan, saved)
