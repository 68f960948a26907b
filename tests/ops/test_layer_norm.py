"""layer_norm against its definition in balls, its invariances, and the complex step."""

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
from nsn_ref.ops.layer_norm import layer_norm_backward, layer_norm_forward


def by_definition(x, w, b, eps=1e-5):
    """One number at a time; the variance as mean square minus squared mean, which cancels: fine in balls."""
    y = np.empty_like(x)
    for row in np.ndindex(*x.shape[:-1]):
        d = x.shape[-1]
        mean = sum(x[row]) / d
        variance = sum(v * v for v in x[row]) / d - mean * mean
        for j in range(d):
            y[row][j] = w[j] * (x[row][j] - mean) / (variance + flint.arb(eps)).sqrt() + b[j]
    return {"y": y}


@given(distinct_primes(2), seeds, st.data())
def test_forward_is_the_definition_within_its_rounding_bound(sizes, seed, data):
    n, d = sizes
    x, w, b = normal(np.random.default_rng(seed), (*data.draw(leading_axes(n)), d), (d,), (d,))
    x = 1000 + 10 * x
    bound = errors(layer_norm_forward(*map(rounded, (x, w, b)))[0])
    truth = certified(by_definition, x, w, b)["y"]
    assert (np.abs(layer_norm_forward(x, w, b)[0] - truth) <= bound + 2.0**-53 * np.abs(truth)).all()
    assert (bound <= 1e-10 * (np.abs(w) + np.abs(b))).all()  # not vacuous: 1e5 roundings


@given(distinct_primes(2), seeds, st.data())
def test_backward_agrees_with_the_complex_step(sizes, seed, data):
    n, d = sizes
    rng = np.random.default_rng(seed)
    inputs = normal(rng, (*data.draw(leading_axes(n)), d), (d,), (d,))
    assert_gradient(layer_norm_forward, layer_norm_backward, inputs, rng)
    assert_gradient(lambda *a: layer_norm_forward(*a, 0.5), layer_norm_backward, inputs, rng)


@pytest.mark.parametrize("which", range(3), ids=["x", "w", "b"])
def test_adversarial_values(rng, which):
    inputs = normal(rng, (5, 7), (7,), (7,))
    for value in [*adversarial(rng, inputs[which]), inputs[which] + 1e8]:
        changed = [value if k == which else a for k, a in enumerate(inputs)]
        assert_gradient(layer_norm_forward, layer_norm_backward, changed, rng)


def test_floats_lie_within_their_bounds_of_the_certified_values(rng):
    x, w, b = normal(rng, (5, 7), (7,), (7,))
    for value in (x, 100 + x, np.ones_like(x), np.zeros_like(x)):
        assert_certified(layer_norm_forward, layer_norm_backward, [value, w, b], rng)


def test_statistics_are_of_the_last_axis_with_the_biased_variance(rng):
    x = 3 + 2 * rng.standard_normal((2, 5, 7))
    x_hat = layer_norm_forward(x, np.ones(7), np.zeros(7), 1e-12)[0]
    assert np.allclose(x_hat.mean(axis=-1), 0, atol=1e-14)
    assert np.allclose((x_hat * x_hat).mean(axis=-1), 1, rtol=1e-11)


def test_a_constant_row_gives_the_bias(rng):
    w, b = normal(rng, (7,), (7,))
    assert np.array_equal(layer_norm_forward(np.full((3, 7), 2.0), w, b)[0], np.broadcast_to(b, (3, 7)))


def test_bad_input_is_named(rng):
    x, w, b = normal(rng, (5, 7), (7,), (7,))
    for eps in (0, 0.0, -1e-5, np.nan, np.inf, "1e-5", None):
        with pytest.raises(OptionError, match=r"layer_norm_forward: eps is .*, expected a number in \(0, inf\)"):
            layer_norm_forward(x, w, b, eps)
    with pytest.raises(ShapeError, match=r"layer_norm_forward: w has shape \(5,\), expected \(d\) = \(7\)"):
        layer_norm_forward(x, x[:, 0], b)
    with pytest.raises(NonFiniteError, match="layer_norm_forward: x has NaN or infinity"):
        layer_norm_forward(x * np.nan, w, b)
    with pytest.raises(DTypeError, match="b holds float32, expected float64 as x does"):
        layer_norm_forward(x, w, b.astype(np.float32))
    with pytest.raises(NumberSystemError, match=r"rsqrt: .* does not exist over Fractions"):
        layer_norm_forward(*map(fractions, (x, w, b)))
    _, saved = layer_norm_forward(x, w, b)
    with pytest.raises(ShapeError, match=r"layer_norm_backward: dy has shape \(7, 5\), expected \(5, 7\)"):
        layer_norm_backward(x.T, saved)
