"""swiglu against its formula in balls, and the complex step."""

import numpy as np
import pytest
from helpers import adversarial, assert_certified, assert_gradient, distinct_primes, leading_axes, normal, seeds
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.certify.balls import certified
from nsn_ref.certify.rounding import errors, rounded
from nsn_ref.errors import DTypeError, NonFiniteError, ShapeError
from nsn_ref.ops.swiglu import swiglu_backward, swiglu_forward


def by_definition(gate, up):
    y = np.empty_like(gate)
    for index in np.ndindex(*gate.shape):
        y[index] = gate[index] * up[index] / (1 + (-gate[index]).exp())
    return {"y": y}


@given(distinct_primes(2), seeds, st.data())
def test_forward_is_the_definition_within_its_rounding_bound(sizes, seed, data):
    n, d = sizes
    shape = (*data.draw(leading_axes(n)), d)
    gate, up = normal(np.random.default_rng(seed), shape, shape)
    bound = errors(swiglu_forward(rounded(3 * gate), rounded(up))[0])
    truth = certified(by_definition, 3 * gate, up)["y"]
    assert (np.abs(swiglu_forward(3 * gate, up)[0] - truth) <= bound + 2.0**-53 * np.abs(truth)).all()
    assert (bound <= 1e-14 * (np.abs(gate * up) + 1)).all()  # not vacuous


@given(distinct_primes(2), seeds, st.data())
def test_backward_agrees_with_the_complex_step(sizes, seed, data):
    n, d = sizes
    rng, shape = np.random.default_rng(seed), (*data.draw(leading_axes(n)), d)
    gate, up = normal(rng, shape, shape)
    assert_gradient(swiglu_forward, swiglu_backward, [3 * gate, up], rng)


@pytest.mark.parametrize("which", range(2), ids=["gate", "up"])
def test_adversarial_values(rng, which):
    inputs = normal(rng, (5, 7), (5, 7))
    for value in adversarial(rng, inputs[which]):
        assert_gradient(
            swiglu_forward, swiglu_backward, [value if k == which else x for k, x in enumerate(inputs)], rng
        )


def test_floats_lie_within_their_bounds_of_the_certified_values(rng):
    gate, up = normal(rng, (5, 7), (5, 7))
    for value in (3 * gate, 30 * gate, 0 * gate):
        assert_certified(swiglu_forward, swiglu_backward, [value, up], rng)


def test_bad_input_is_named(rng):
    gate, up = normal(rng, (3, 5), (3, 5))
    with pytest.raises(ShapeError, match=r"swiglu_forward: up has shape \(3, 4\), expected \(3, 5\) as gate has"):
        swiglu_forward(gate, up[:, :4])
    with pytest.raises(NonFiniteError, match="swiglu_forward: up has NaN or infinity"):
        swiglu_forward(gate, up * np.inf)
    with pytest.raises(DTypeError, match="swiglu_forward: up holds float32, expected float64 as gate does"):
        swiglu_forward(gate, up.astype(np.float32))
    _, saved = swiglu_forward(gate, up)
    with pytest.raises(ShapeError, match=r"swiglu_backward: dy has shape \(5, 3\), expected \(3, 5\)"):
        swiglu_backward(gate.T, saved)
