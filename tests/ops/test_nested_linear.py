"""nested_linear against a scalar loop, exact algebra and the complex step."""

from fractions import Fraction

import numpy as np
import pytest
from helpers import (
    adversarial,
    assert_certified,
    assert_gradient,
    assert_number_type,
    distinct_primes,
    normal,
    random_fractions,
    ranks_of,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.errors import DTypeError, NonFiniteError, RankError, ShapeError
from nsn_ref.ops.nested_linear import nested_linear_backward, nested_linear_forward


def by_scalar_loop(x, A, B, b, rank):
    """The sum of b_i (a_i . x) over i <= rank, one number at a time."""
    y = np.empty(x.shape[:-1] + b.shape, dtype=object)
    for index in np.ndindex(*y.shape):
        total = b[index[-1]]
        for i in range(rank):
            total += B[index[-1], i] * sum(A[i, k] * x[index[:-1]][k] for k in range(x.shape[-1]))
        y[index] = total
    return y


@given(distinct_primes(4), seeds, st.booleans())
def test_forward_is_the_sum_of_outer_products_exactly(sizes, seed, sequence):
    n, d_in, d_out, R = sizes
    rng = np.random.default_rng(seed)
    shape = (n, 2, d_in) if sequence else (n, d_in)
    x, A, B, b = (random_fractions(rng, *s) for s in (shape, (R, d_in), (d_out, R), (d_out,)))
    for rank in ranks_of(R):
        y, saved = nested_linear_forward(x, A, B, b, rank)
        assert (y == by_scalar_loop(x, A, B, b, rank)).all()
        assert_number_type(Fraction, y, *nested_linear_backward(y, saved))


@given(distinct_primes(4), seeds, st.booleans())
def test_backward_agrees_with_the_complex_step(sizes, seed, sequence):
    n, d_in, d_out, R = sizes
    rng = np.random.default_rng(seed)
    inputs = normal(rng, (n, 2, d_in) if sequence else (n, d_in), (R, d_in), (d_out, R), (d_out,))
    for rank in ranks_of(R):
        assert_gradient(lambda *a, rank=rank: nested_linear_forward(*a, rank), nested_linear_backward, inputs, rng)


def test_backward_is_the_exact_adjoint(rng):
    """The layer is affine in each argument, so <dy, f(p + v) - f(p)> = <df, v> with no error at all."""
    x, A, B, b = (random_fractions(rng, *s) for s in ((5, 3), (11, 3), (7, 11), (7,)))
    for rank in ranks_of(11):
        y, saved = nested_linear_forward(x, A, B, b, rank)
        dy = random_fractions(rng, *y.shape)
        grads = nested_linear_backward(dy, saved)
        for k, grad in enumerate(grads):
            v = random_fractions(rng, *grad.shape)
            moved = [a + v if j == k else a for j, a in enumerate((x, A, B, b))]
            difference = nested_linear_forward(*moved, rank)[0] - y
            assert (dy * difference).sum() == (grad * v).sum()


@pytest.mark.parametrize("which", range(4), ids=["x", "A", "B", "b"])
def test_backward_on_adversarial_values(rng, which):
    inputs = normal(rng, (5, 3), (11, 3), (7, 11), (7,))
    for value in adversarial(rng, inputs[which]):
        changed = [value if k == which else a for k, a in enumerate(inputs)]
        assert_gradient(lambda *a: nested_linear_forward(*a, 5), nested_linear_backward, changed, rng)


def test_unused_components_get_exactly_zero(rng):
    x, A, B, b = normal(rng, (5, 3), (11, 3), (7, 11), (7,))
    y, saved = nested_linear_forward(x, A, B, b, 4)
    _, dA, dB, _ = nested_linear_backward(y, saved)
    assert (dA[4:] == 0).all() and (dB[:, 4:] == 0).all()
    assert (dA[:4] != 0).all() and (dB[:, :4] != 0).all()


def test_floats_lie_within_their_bounds_of_the_certified_values(rng):
    inputs = normal(rng, (5, 3), (11, 3), (7, 11), (7,))
    assert_certified(lambda *a: nested_linear_forward(*a, 4), nested_linear_backward, inputs, rng)


def test_bad_input_is_named(rng):
    x, A, B, b = normal(rng, (5, 7), (3, 7), (2, 3), (2,))
    for rank in (0, 4, -1, True, 1.0, None):
        with pytest.raises(RankError, match=r"nested_linear_forward: rank is .*, expected an integer in 1\.\.3"):
            nested_linear_forward(x, A, B, b, rank)
    message = r"nested_linear_forward: A has shape \(3, 8\), expected \(R, d_in\) = \(R, 7\)"
    with pytest.raises(ShapeError, match=message):
        nested_linear_forward(x, np.ones((3, 8)), B, b, 1)
    with pytest.raises(ShapeError, match=r"B has shape \(2, 4\), expected \(d_out, R\) = \(d_out, 3\)"):
        nested_linear_forward(x, A, np.ones((2, 4)), b, 1)
    with pytest.raises(ShapeError, match=r"x has shape \(7,\), expected \(\.\.\., d_in\)"):
        nested_linear_forward(x[0], A, B, b, 1)
    with pytest.raises(DTypeError, match="B holds float32, expected float64 as x does"):
        nested_linear_forward(x, A, B.astype(np.float32), b, 1)
    with pytest.raises(DTypeError, match="x has dtype int64"):
        nested_linear_forward(np.ones((5, 7), dtype=np.int64), A, B, b, 1)
    with pytest.raises(DTypeError, match="x is a list"):
        nested_linear_forward(x.tolist(), A, B, b, 1)
    with pytest.raises(NonFiniteError, match="b has NaN or infinity"):
        nested_linear_forward(x, A, B, b * np.inf, 1)
    _, saved = nested_linear_forward(x, A, B, b, 2)
    with pytest.raises(ShapeError, match=r"nested_linear_backward: dy has shape \(5, 3\), expected \(5, 2\)"):
        nested_linear_backward(np.ones((5, 3)), saved)
