"""silu against its formula in balls, and the complex step."""

import numpy as np
import pytest
from helpers import (
    adversarial,
    assert_certified,
    assert_gradient,
    distinct_primes,
    fractions,
    leading_axes,
    normal,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.certify.balls import certified
from nsn_ref.errors import DTypeError, NonFiniteError, NumberSystemError, ShapeError
from nsn_ref.ops.silu import silu_backward, silu_forward

TAIL = np.array([-700.0, -25.0, -1.28, -1e-9, 0.0, 1e-300, 0.5, 3.0, 800.0])


def test_forward_keeps_its_digits_in_the_tail():
    truth = certified(lambda z: {"y": np.array([b / (1 + (-b).exp()) for b in z], dtype=object)}, TAIL)["y"]
    y, _ = silu_forward(TAIL)
    assert (np.abs(y - truth) <= 8 * 2.0**-53 * (1 + np.abs(TAIL)) * np.abs(truth)).all()
    assert (y[TAIL < 0] < 0).all()


@given(distinct_primes(2), seeds, st.data())
def test_backward_agrees_with_the_complex_step(sizes, seed, data):
    n, d = sizes
    rng = np.random.default_rng(seed)
    assert_gradient(silu_forward, silu_backward, [3 * rng.standard_normal((*data.draw(leading_axes(n)), d))], rng)


def test_adversarial_values(rng):
    for z in adversarial(rng, rng.standard_normal((5, 7))):
        assert_gradient(silu_forward, silu_backward, [z], rng)


def test_floats_lie_within_their_bounds_of_the_certified_values(rng):
    for z in (3 * rng.standard_normal((5, 7)), TAIL[:, None]):
        assert_certified(silu_forward, silu_backward, [z], rng)


def test_far_from_zero_it_is_the_identity_or_zero():
    z = np.array([[-1e100, -800.0, 800.0, 1e100]])
    y, saved = silu_forward(z)
    assert np.array_equal(y, [[0, 0, 800, 1e100]])
    assert np.array_equal(silu_backward(np.full_like(z, 7.0), saved), [[0, 0, 7, 7]])


def test_bad_input_is_named(rng):
    (z,) = normal(rng, (3, 5))
    with pytest.raises(NonFiniteError, match="silu_forward: z has NaN or infinity"):
        silu_forward(z * np.inf)
    with pytest.raises(DTypeError, match="silu_forward: z is a list"):
        silu_forward(z.tolist())
    with pytest.raises(NumberSystemError, match=r"logistic: .* does not exist over Fractions"):
        silu_forward(fractions(z))
    _, saved = silu_forward(z)
    with pytest.raises(ShapeError, match=r"silu_backward: dy has shape \(5, 3\), expected \(3, 5\)"):
        silu_backward(z.T, saved)
