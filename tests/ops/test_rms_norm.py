"""rms_norm against its definition in balls, its invariances, and the complex step."""

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
from nsn_ref.certify.rounding import errors, rounded
from nsn_ref.errors import DTypeError, NonFiniteError, NumberSystemError, OptionError, ShapeError
from nsn_ref.ops.rms_norm import rms_norm_backward, rms_norm_forward


def by_definition(x, w, eps=1e-6):
    """One number at a time."""
    y = np.empty_like(x)
    for *row, j in np.ndindex(*x.shape):
        vector = x[tuple(row)]
        mean_square = sum(v * v for v in vector) / len(vector)
        y[(*row, j)] = w[j] * vector[j] / (mean_square + flint.arb(eps)).sqrt()
    return {"y": y}


@given(distinct_primes(2), seeds, st.data())
def test_forward_is_the_definition_within_its_rounding_bound(sizes, seed, data):
    n, d = sizes
    x, w = normal(np.random.default_rng(seed), (*data.draw(leading_axes(n)), d), (d,))
    bound = errors(rms_norm_forward(rounded(x), rounded(w))[0])
    truth = certified(by_definition, x, w)["y"]
    assert (np.abs(rms_norm_forward(x, w)[0] - truth) <= bound + 2.0**-53 * np.abs(truth)).all()
    assert (bound <= 1e-14 * np.abs(truth)).all()  # not vacuous: 100 roundings


@given(distinct_primes(2), seeds, st.data())
def test_backward_agrees_with_the_complex_step(sizes, seed, data):
    n, d = sizes
    rng = np.random.default_rng(seed)
    inputs = normal(rng, (*data.draw(leading_axes(n)), d), (d,))
    assert_gradient(rms_norm_forward, rms_norm_backward, inputs, rng)
    assert_gradient(lambda *a: rms_norm_forward(*a, 0.5), rms_norm_backward, inputs, rng)


@pytest.mark.parametrize("which", range(2), ids=["x", "w"])
def test_adversarial_values(rng, which):
    inputs = normal(rng, (5, 7), (7,))
    for value in adversarial(rng, inputs[which]):
        changed = [value if k == which else a for k, a in enumerate(inputs)]
        assert_gradient(rms_norm_forward, rms_norm_backward, changed, rng)


def test_floats_lie_within_their_bounds_of_the_certified_values(rng):
    x, w = normal(rng, (5, 7), (7,))
    for value in (x, 100 + x, np.ones_like(x), np.zeros_like(x)):
        assert_certified(rms_norm_forward, rms_norm_backward, [value, w], rng)


def test_scaling_the_input_by_a_power_of_two_changes_no_bit(rng):
    x, w = normal(rng, (5, 7), (7,))
    assert np.array_equal(rms_norm_forward(1024 * x, w, 2.0**20)[0], rms_norm_forward(x, w, 1)[0])


def test_bad_input_is_named(rng):
    x, w = normal(rng, (5, 7), (7,))
    for eps in (0, -1e-5, np.nan, np.inf, True):
        with pytest.raises(OptionError, match=r"rms_norm_forward: eps is .*, expected a number in \(0, inf\)"):
            rms_norm_forward(x, w, eps)
    with pytest.raises(ShapeError, match=r"rms_norm_forward: w has shape \(5,\), expected \(d\) = \(7\)"):
        rms_norm_forward(x, x[:, 0])
    with pytest.raises(ShapeError, match=r"rms_norm_forward: x has shape \(7,\), expected \(\.\.\., d\)"):
        rms_norm_forward(x[0], w)
    with pytest.raises(NonFiniteError, match="rms_norm_forward: w has NaN or infinity"):
        rms_norm_forward(x, w * np.nan)
    with pytest.raises(DTypeError, match="w holds float32, expected float64 as x does"):
        rms_norm_forward(x, w.astype(np.float32))
    with pytest.raises(NumberSystemError, match=r"rsqrt: .* does not exist over Fractions"):
        rms_norm_forward(fractions(x), fractions(w))
    _, saved = rms_norm_forward(x, w)
    with pytest.raises(ShapeError, match=r"rms_norm_backward: dy has shape \(7, 5\), expected \(5, 7\)"):
        rms_norm_backward(x.T, saved)
