"""relu against its definition, in every number system, and the complex step."""

from fractions import Fraction

import flint
import numpy as np
import pytest
from helpers import (
    adversarial,
    assert_certified,
    assert_gradient,
    assert_number_type,
    distinct_primes,
    leading_axes,
    normal,
    random_fractions,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.certify.rounding import Rounded
from nsn_ref.errors import DTypeError, NeedMorePrecision, NonFiniteError, ShapeError
from nsn_ref.ops.relu import relu_backward, relu_forward


@given(distinct_primes(2), seeds, st.data())
def test_it_keeps_what_is_positive_exactly(sizes, seed, data):
    n, d = sizes
    rng = np.random.default_rng(seed)
    z = random_fractions(rng, *data.draw(leading_axes(n)), d)  # zero among them
    y, saved = relu_forward(z)
    dy = random_fractions(rng, *z.shape)
    dz = relu_backward(dy, saved)
    for index in np.ndindex(*z.shape):
        assert (y[index], dz[index]) == ((z[index], dy[index]) if z[index] > 0 else (0, 0))
    assert_number_type(Fraction, y, dz)


@given(distinct_primes(2), seeds, st.data())
def test_backward_agrees_with_the_complex_step(sizes, seed, data):
    n, d = sizes
    rng = np.random.default_rng(seed)
    assert_gradient(relu_forward, relu_backward, normal(rng, (*data.draw(leading_axes(n)), d)), rng)


def test_adversarial_values(rng):
    for z in adversarial(rng, rng.standard_normal((5, 7))):
        assert_gradient(relu_forward, relu_backward, [z], rng)


def test_floats_lie_within_their_bounds_of_the_certified_values(rng):
    assert_certified(relu_forward, relu_backward, normal(rng, (5, 7)), rng)


def test_zeros_of_either_sign_have_the_derivative_zero():
    z = np.array([-0.0, 0.0, 5e-324])
    y, saved = relu_forward(z)
    assert np.array_equal(y, [0, 0, 5e-324]) and not np.signbit(y).any()
    assert np.array_equal(relu_backward(np.full(3, 7.0), saved), [0, 0, 7])


@pytest.mark.parametrize("number", [flint.arb(0, 0.5), Rounded(1e-9, 1e-8)], ids=["ball", "rounded"])
def test_a_number_that_straddles_zero_is_refused(number):
    with pytest.raises(NeedMorePrecision, match="undecided"):
        relu_forward(np.array([number], dtype=object))


def test_bad_input_is_named(rng):
    (z,) = normal(rng, (3, 5))
    with pytest.raises(NonFiniteError, match="relu_forward: z has NaN or infinity"):
        relu_forward(z * np.nan)
    with pytest.raises(DTypeError, match="relu_forward: z has dtype bool"):
        relu_forward(z > 0)
    _, saved = relu_forward(z)
    with pytest.raises(ShapeError, match=r"relu_backward: dy has shape \(5,\), expected \(3, 5\)"):
        relu_backward(z[0], saved)
    with pytest.raises(NonFiniteError, match="relu_backward: dy has NaN or infinity"):
        relu_backward(z * np.inf, saved)
