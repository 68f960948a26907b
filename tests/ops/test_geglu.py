"""geglu against its formulas in balls, and the complex step."""

from fractions import Fraction

import flint
import numpy as np
import pytest
from helpers import adversarial, assert_certified, assert_gradient, distinct_primes, leading_axes, normal, seeds
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.certify.balls import certified
from nsn_ref.certify.rounding import errors, rounded
from nsn_ref.errors import DTypeError, NonFiniteError, OptionError, ShapeError
from nsn_ref.ops.geglu import geglu_backward, geglu_forward

forms = pytest.mark.parametrize("form", ["none", "tanh"])


def bind(form):
    return lambda gate, up: geglu_forward(gate, up, approximate=form)


def gelu_of_a_ball(z, form):
    if form == "none":
        return z * (1 + (z / flint.arb(2).sqrt()).erf()) / 2
    cubic = flint.arb(Fraction(44715, 10**6).numerator) / Fraction(44715, 10**6).denominator
    return z * (1 + ((2 / flint.arb.pi()).sqrt() * (z + cubic * z**3)).tanh()) / 2


def by_definition(gate, up, form):
    y = np.empty_like(gate)
    for index in np.ndindex(*gate.shape):
        y[index] = gelu_of_a_ball(gate[index], form) * up[index]
    return {"y": y}


@forms
@given(distinct_primes(2), seeds, st.data())
def test_forward_is_the_definition_within_its_rounding_bound(form, sizes, seed, data):
    n, d = sizes
    shape = (*data.draw(leading_axes(n)), d)
    gate, up = normal(np.random.default_rng(seed), shape, shape)
    bound = errors(bind(form)(rounded(3 * gate), rounded(up))[0])
    truth = certified(lambda *inputs: by_definition(*inputs, form), 3 * gate, up)["y"]
    assert (np.abs(bind(form)(3 * gate, up)[0] - truth) <= bound + 2.0**-53 * np.abs(truth)).all()
    assert (bound <= 1e-13 * (np.abs(gate * up) + 1)).all()  # not vacuous


@forms
@given(distinct_primes(2), seeds, st.data())
def test_backward_agrees_with_the_complex_step(form, sizes, seed, data):
    n, d = sizes
    rng, shape = np.random.default_rng(seed), (*data.draw(leading_axes(n)), d)
    gate, up = normal(rng, shape, shape)
    assert_gradient(bind(form), geglu_backward, [2 * gate, up], rng)


@forms
@pytest.mark.parametrize("which", range(2), ids=["gate", "up"])
def test_adversarial_values(rng, which, form):
    inputs = normal(rng, (5, 7), (5, 7))
    for value in adversarial(rng, inputs[which], huge=1e30):
        changed = [value if k == which else x for k, x in enumerate(inputs)]
        assert_gradient(bind(form), geglu_backward, changed, rng)


@forms
def test_floats_lie_within_their_bounds_of_the_certified_values(rng, form):
    gate, up = normal(rng, (5, 7), (5, 7))
    for value in (gate, 3 * gate, 0 * gate):
        assert_certified(bind(form), geglu_backward, [value, up], rng)


def test_bad_input_is_named(rng):
    gate, up = normal(rng, (3, 5), (3, 5))
    with pytest.raises(OptionError, match="geglu_forward: approximate is 'erf', expected one of 'none', 'tanh'"):
        geglu_forward(gate, up, approximate="erf")
    with pytest.raises(ShapeError, match=r"geglu_forward: up has shape \(3, 4\), expected \(3, 5\) as gate has"):
        geglu_forward(gate, up[:, :4])
    with pytest.raises(NonFiniteError, match="geglu_forward: gate has NaN or infinity"):
        geglu_forward(gate * np.nan, up)
    with pytest.raises(DTypeError, match="geglu_forward: gate is a list"):
        geglu_forward(gate.tolist(), up)
    _, saved = geglu_forward(gate, up)
    with pytest.raises(ShapeError, match=r"geglu_backward: dy has shape \(5, 3\), expected \(3, 5\)"):
        geglu_backward(gate.T, saved)
