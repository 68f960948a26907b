"""nested_embedding against a scalar loop, nested_linear on one-hot inputs, exact algebra and the complex step."""

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
    ranks_of,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.errors import DTypeError, LabelError, NonFiniteError, RankError, ShapeError
from nsn_ref.ops.nested_embedding import nested_embedding_backward, nested_embedding_forward
from nsn_ref.ops.nested_linear import nested_linear_backward, nested_linear_forward
from nsn_ref.scalars import one_hot


def bind(tokens, rank):
    return lambda E, B: nested_embedding_forward(tokens, E, B, rank)


@given(distinct_primes(4), seeds, st.data())
def test_forward_and_backward_by_scalar_loops_exactly(sizes, seed, data):
    n, V, d_out, R = sizes
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, V, data.draw(leading_axes(n)))
    E, B = random_fractions(rng, V, R), random_fractions(rng, d_out, R)
    for rank in ranks_of(R):
        y, saved = nested_embedding_forward(tokens, E, B, rank)
        dy = random_fractions(rng, *y.shape)
        expected_dE, expected_dB = E * 0, B * 0
        for *where, c in np.ndindex(*y.shape):
            token, cotangent = tokens[tuple(where)], dy[(*where, c)]
            assert y[(*where, c)] == sum(E[token, i] * B[c, i] for i in range(rank))
            expected_dE[token, :rank] += cotangent * B[c, :rank]
            expected_dB[c, :rank] += cotangent * E[token, :rank]
        dE, dB = nested_embedding_backward(dy, saved)
        assert (dE == expected_dE).all() and (dB == expected_dB).all()
        assert_number_type(Fraction, y, dE, dB)


def test_it_is_the_nested_linear_layer_on_one_hot_inputs_exactly(rng):
    E, B = random_fractions(rng, 5, 3), random_fractions(rng, 7, 3)
    tokens = np.array([[4, 0, 0], [2, 4, 4]])
    zero = B[:, 0] * 0
    y, saved = nested_embedding_forward(tokens, E, B, 2)
    y_linear, saved_linear = nested_linear_forward(one_hot(tokens, 5, like=E), E.T, B, zero, 2)
    dy = random_fractions(rng, *y.shape)
    dE, dB = nested_embedding_backward(dy, saved)
    _, dA_linear, dB_linear, _ = nested_linear_backward(dy, saved_linear)
    assert (y == y_linear).all() and (dE == dA_linear.T).all() and (dB == dB_linear).all()


@given(distinct_primes(4), seeds, st.data())
def test_backward_agrees_with_the_complex_step(sizes, seed, data):
    n, V, d_out, R = sizes
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, V, data.draw(leading_axes(n)))
    for rank in ranks_of(R):
        assert_gradient(bind(tokens, rank), nested_embedding_backward, normal(rng, (V, R), (d_out, R)), rng)


@pytest.mark.parametrize("which", range(2), ids=["E", "B"])
def test_adversarial_values(rng, which):
    inputs = normal(rng, (5, 11), (7, 11))
    for tokens in (rng.integers(0, 5, (3, 2)), np.full(13, 4)):  # one token only: every row adds to one
        for value in adversarial(rng, inputs[which]):
            changed = [value if k == which else a for k, a in enumerate(inputs)]
            assert_gradient(bind(tokens, 6), nested_embedding_backward, changed, rng)


def test_floats_lie_within_their_bounds_of_the_certified_values(rng):
    inputs = normal(rng, (5, 11), (7, 11))
    assert_certified(bind(np.array([1, 4, 1, 1, 0]), 6), nested_embedding_backward, inputs, rng)


def test_unused_components_and_absent_tokens_get_exactly_zero(rng):
    y, saved = nested_embedding_forward(np.array([3, 1, 3]), *normal(rng, (5, 11), (7, 11)), 4)
    dE, dB = nested_embedding_backward(y, saved)
    assert (dE[:, 4:] == 0).all() and (dB[:, 4:] == 0).all() and (dE[[0, 2, 4]] == 0).all()
    assert (dE[[1, 3], :4] != 0).all() and (dB[:, :4] != 0).all()


def test_bad_input_is_named(rng):
    E, B = normal(rng, (5, 3), (7, 3))
    tokens = np.array([4, 0])
    for rank in (0, 4, 1.0, None):
        with pytest.raises(RankError, match=r"nested_embedding_forward: rank is .*, expected an integer in 1\.\.3"):
            nested_embedding_forward(tokens, E, B, rank)
    for wrong, got in ((5, 5), (-1, -1)):
        with pytest.raises(LabelError, match=rf"tokens has the label {got}, expected integers in 0\.\.4"):
            nested_embedding_forward(np.array([0, wrong]), E, B, 1)
    with pytest.raises(DTypeError, match="tokens has dtype float64, expected an ndarray of integers"):
        nested_embedding_forward(tokens + 0.5, E, B, 1)
    with pytest.raises(DTypeError, match="tokens has type list"):
        nested_embedding_forward([4, 0], E, B, 1)
    with pytest.raises(ShapeError, match=r"B has shape \(7, 2\), expected \(d_out, R\) = \(d_out, 3\)"):
        nested_embedding_forward(tokens, E, B[:, :2], 1)
    with pytest.raises(NonFiniteError, match="nested_embedding_forward: E has NaN or infinity"):
        nested_embedding_forward(tokens, E * np.nan, B, 1)
    _, saved = nested_embedding_forward(tokens, E, B, 1)
    with pytest.raises(ShapeError, match=r"nested_embedding_backward: dy has shape \(7, 2\), expected \(2, 7\)"):
        nested_embedding_backward(np.ones((7, 2)), saved)
