"""dense against a scalar loop, exact algebra and the complex step."""

from fractions import Fraction

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

from nsn_ref.errors import DTypeError, NonFiniteError, ShapeError
from nsn_ref.ops.dense import dense_backward, dense_forward


@given(distinct_primes(3), seeds, st.data())
def test_forward_and_backward_by_scalar_loops_exactly(sizes, seed, data):
    n, d_in, d_out = sizes
    rng = np.random.default_rng(seed)
    lead = data.draw(leading_axes(n))
    x, W, b = (random_fractions(rng, *shape) for shape in ((*lead, d_in), (d_out, d_in), (d_out,)))
    dy = random_fractions(rng, *lead, d_out)
    y, saved = dense_forward(x, W, b)
    expected = [x * 0, W * 0, b * 0]
    for *row, c in np.ndindex(*y.shape):
        vector, cotangent = x[tuple(row)], dy[(*row, c)]
        assert y[(*row, c)] == sum(W[c, k] * vector[k] for k in range(d_in)) + b[c]
        expected[0][tuple(row)] += cotangent * W[c]
        expected[1][c] += cotangent * vector
        expected[2][c] += cotangent
    grads = dense_backward(dy, saved)
    assert all((g == e).all() for g, e in zip(grads, expected, strict=True))
    assert_number_type(Fraction, y, *grads)


@given(distinct_primes(3), seeds, st.data())
def test_backward_agrees_with_the_complex_step(sizes, seed, data):
    n, d_in, d_out = sizes
    rng = np.random.default_rng(seed)
    inputs = normal(rng, (*data.draw(leading_axes(n)), d_in), (d_out, d_in), (d_out,))
    assert_gradient(dense_forward, dense_backward, inputs, rng)


@pytest.mark.parametrize("which", range(3), ids=["x", "W", "b"])
def test_adversarial_values(rng, which):
    inputs = normal(rng, (5, 3), (7, 3), (7,))
    for value in adversarial(rng, inputs[which]):
        changed = [value if k == which else a for k, a in enumerate(inputs)]
        assert_gradient(dense_forward, dense_backward, changed, rng)


def test_floats_lie_within_their_bounds_of_the_certified_values(rng):
    assert_certified(dense_forward, dense_backward, normal(rng, (5, 3), (7, 3), (7,)), rng)


def test_bad_input_is_named(rng):
    x, W, b = normal(rng, (5, 3), (7, 3), (7,))
    with pytest.raises(
        ShapeError, match=r"dense_forward: W has shape \(3, 7\), expected \(d_out, d_in\) = \(d_out, 3\)"
    ):
        dense_forward(x, W.T, b)
    with pytest.raises(ShapeError, match=r"dense_forward: b has shape \(3,\), expected \(d_out\) = \(7\)"):
        dense_forward(x, W, b[:3])
    with pytest.raises(DTypeError, match="W holds float32, expected float64 as x does"):
        dense_forward(x, W.astype(np.float32), b)
    with pytest.raises(NonFiniteError, match="dense_forward: x has NaN or infinity"):
        dense_forward(x * np.inf, W, b)
    _, saved = dense_forward(x, W, b)
    with pytest.raises(ShapeError, match=r"dense_backward: dy has shape \(7, 5\), expected \(5, 7\)"):
        dense_backward(np.ones((7, 5)), saved)
    with pytest.raises(NonFiniteError, match="dense_backward: dy has NaN or infinity"):
        dense_backward(np.full((5, 7), np.nan), saved)
