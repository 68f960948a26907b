"""gelu against its textbook formulas in balls, and the complex step."""

from functools import partial

import flint
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
from nsn_ref.errors import DTypeError, NonFiniteError, NumberSystemError, OptionError, ShapeError
from nsn_ref.ops.gelu import gelu_backward, gelu_forward

FORMS = ("none", "tanh")
TAIL = np.array([-25.0, -13.0, -6.5, -5.0, -2.0, -0.25, -1e-9, 0.0, 1e-300, 0.5, 3.0, 40.0])


def textbook(z, approximate):
    """The formulas with 1 + erf and 1 + tanh, which cancel: fine in balls."""
    if approximate == "none":
        return z * (1 + (z / flint.arb(2).sqrt()).erf()) / 2
    w = (2 / flint.arb.pi()).sqrt() * (z + flint.arb(44715) / 1000000 * z**3)
    return z * (1 + w.tanh()) / 2


@pytest.mark.parametrize("approximate", FORMS)
def test_forward_keeps_its_digits_in_the_tail(approximate):
    z = TAIL if approximate == "none" else TAIL[1:]  # at -25 the tanh form is below the smallest float64
    truth = certified(lambda balls: {"y": np.array([textbook(b, approximate) for b in balls], dtype=object)}, z)["y"]
    y, _ = gelu_forward(z, approximate=approximate)
    condition = 1 + z**2 + (z**4 if approximate == "tanh" else 0)  # of the exponential's argument
    assert (np.abs(y - truth) <= 8 * 2.0**-53 * condition * np.abs(truth)).all()
    assert (y[z < 0] < 0).all()


@pytest.mark.parametrize("approximate", FORMS)
@given(distinct_primes(2), seeds, st.data())
def test_backward_agrees_with_the_complex_step(approximate, sizes, seed, data):
    n, d = sizes
    rng = np.random.default_rng(seed)
    z = 3 * rng.standard_normal((*data.draw(leading_axes(n)), d))
    assert_gradient(partial(gelu_forward, approximate=approximate), gelu_backward, [z], rng)


@pytest.mark.parametrize("approximate", FORMS)
def test_adversarial_values(rng, approximate):
    forward = partial(gelu_forward, approximate=approximate)
    for z in adversarial(rng, rng.standard_normal((5, 7))):
        assert_gradient(forward, gelu_backward, [z], rng)


@pytest.mark.parametrize("approximate", FORMS)
def test_floats_lie_within_their_bounds_of_the_certified_values(rng, approximate):
    for z in (3 * rng.standard_normal((5, 7)), TAIL[1:, None]):
        assert_certified(partial(gelu_forward, approximate=approximate), gelu_backward, [z], rng)


def test_far_from_zero_it_is_the_identity_or_zero(rng):
    z = np.array([[-1e100, -50.0, 50.0, 1e100]])
    for approximate in FORMS:
        y, saved = gelu_forward(z, approximate=approximate)
        assert np.array_equal(y, [[0, 0, 50, 1e100]])
        assert np.array_equal(gelu_backward(np.full_like(z, 7.0), saved), [[0, 0, 7, 7]])


def test_bad_input_is_named(rng):
    (z,) = normal(rng, (3, 5))
    with pytest.raises(OptionError, match="gelu_forward: approximate is True, expected one of 'none', 'tanh'"):
        gelu_forward(z, approximate=True)
    with pytest.raises(NonFiniteError, match="gelu_forward: z has NaN or infinity"):
        gelu_forward(z * np.nan)
    with pytest.raises(DTypeError, match="gelu_forward: z has dtype int64"):
        gelu_forward(np.ones((3, 5), dtype=np.int64))
    with pytest.raises(NumberSystemError, match="does not exist over Fractions"):
        gelu_forward(fractions(z))
    _, saved = gelu_forward(z)
    with pytest.raises(ShapeError, match=r"gelu_backward: dy has shape \(3,\), expected \(3, 5\)"):
        gelu_backward(z[:, 0], saved)
    with pytest.raises(DTypeError, match="gelu_backward: dy holds float32, expected float64"):
        gelu_backward(z.astype(np.float32), saved)
