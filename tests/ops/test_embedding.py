"""embedding against a scalar loop, exact algebra, dense on one-hot inputs and the complex step."""

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

from nsn_ref.errors import DTypeError, LabelError, NonFiniteError, ShapeError
from nsn_ref.ops.dense import dense_backward, dense_forward
from nsn_ref.ops.embedding import embedding_backward, embedding_forward
from nsn_ref.scalars import one_hot


def bind(tokens):
    return lambda E: embedding_forward(tokens, E)


@given(distinct_primes(3), seeds, st.data())
def test_forward_and_backward_by_scalar_loops_exactly(sizes, seed, data):
    n, V, d = sizes
    rng = np.random.default_rng(seed)
    tokens, E = rng.integers(0, V, data.draw(leading_axes(n))), random_fractions(rng, V, d)
    y, saved = embedding_forward(tokens, E)
    dy, expected = random_fractions(rng, *y.shape), E * 0
    for *where, j in np.ndindex(*y.shape):
        assert y[(*where, j)] == E[tokens[tuple(where)], j]
        expected[tokens[tuple(where)], j] += dy[(*where, j)]
    dE = embedding_backward(dy, saved)
    assert (dE == expected).all()
    assert_number_type(Fraction, y, dE)


def test_it_is_the_dense_layer_on_one_hot_inputs_exactly(rng):
    E, tokens = random_fractions(rng, 5, 3), np.array([[4, 0, 0], [2, 4, 4]])
    y, saved = embedding_forward(tokens, E)
    y_dense, saved_dense = dense_forward(one_hot(tokens, 5, like=E), E.T, E[0] * 0)
    dy = random_fractions(rng, *y.shape)
    assert (y == y_dense).all()
    assert (embedding_backward(dy, saved) == dense_backward(dy, saved_dense)[1].T).all()


@given(distinct_primes(3), seeds, st.data())
def test_backward_agrees_with_the_complex_step(sizes, seed, data):
    n, V, d = sizes
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, V, data.draw(leading_axes(n)))
    assert_gradient(bind(tokens), embedding_backward, normal(rng, (V, d)), rng)


def test_adversarial_values(rng):
    for tokens in (rng.integers(0, 5, (3, 2)), np.full(13, 4)):  # one token only: every row adds to one
        for E in adversarial(rng, rng.standard_normal((5, 7))):
            assert_gradient(bind(tokens), embedding_backward, [E], rng)


def test_floats_lie_within_their_bounds_of_the_certified_values(rng):
    assert_certified(bind(np.array([1, 4, 1, 1, 0])), embedding_backward, normal(rng, (5, 7)), rng)


def test_absent_tokens_get_exactly_zero(rng):
    y, saved = embedding_forward(np.array([3, 1, 3]), *normal(rng, (5, 7)))
    dE = embedding_backward(y, saved)
    assert (dE[[0, 2, 4]] == 0).all() and (dE[[1, 3]] != 0).all()


def test_bad_input_is_named(rng):
    (E,) = normal(rng, (5, 3))
    tokens = np.array([4, 0])
    for wrong in (5, -1):
        with pytest.raises(LabelError, match=rf"tokens has the label {wrong}, expected integers in 0\.\.4"):
            embedding_forward(np.array([0, wrong]), E)
    with pytest.raises(
        DTypeError, match="embedding_forward: tokens has dtype float64, expected an ndarray of integers"
    ):
        embedding_forward(tokens + 0.5, E)
    with pytest.raises(ShapeError, match=r"E has shape \(5,\), expected \(V, d\)"):
        embedding_forward(tokens, E[:, 0])
    with pytest.raises(NonFiniteError, match="embedding_forward: E has NaN or infinity"):
        embedding_forward(tokens, E * np.nan)
    _, saved = embedding_forward(tokens, E)
    with pytest.raises(ShapeError, match=r"embedding_backward: dy has shape \(3, 2\), expected \(2, 3\)"):
        embedding_backward(np.ones((3, 2)), saved)
