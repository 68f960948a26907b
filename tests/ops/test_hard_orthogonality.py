"""hard_orthogonality against a scalar loop, exact algebra and the complex step."""

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
    seeds,
)
from hypothesis import given

from nsn_ref.errors import NonFiniteError, ShapeError
from nsn_ref.ops.hard_orthogonality import hard_orthogonality_backward, hard_orthogonality_forward


def by_scalar_loop(A):
    total = Fraction(0)
    for i in range(len(A)):
        for j in range(len(A)):
            total += (sum(p * q for p, q in zip(A[i], A[j], strict=True)) - (i == j)) ** 2
    return total


@given(distinct_primes(2), seeds)
def test_forward_is_the_scalar_loop_exactly(sizes, seed):
    A = random_fractions(np.random.default_rng(seed), *sizes)
    penalty, saved = hard_orthogonality_forward(A)
    assert penalty == by_scalar_loop(A)
    assert_number_type(Fraction, penalty, hard_orthogonality_backward(penalty, saved))


def test_backward_is_the_derivative_exactly(rng):
    """Along a line the penalty is a polynomial of degree 4, whose derivative at 0 a five-point rule gives exactly."""
    for shape in ((3, 5), (5, 3)):
        A, v = random_fractions(rng, *shape), random_fractions(rng, *shape)
        f = [hard_orthogonality_forward(A + t * v)[0] for t in (-2, -1, 1, 2)]
        derivative = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / 12
        _, saved = hard_orthogonality_forward(A)
        dpenalty = Fraction(-7, 3)
        assert dpenalty * derivative == (hard_orthogonality_backward(dpenalty, saved) * v).sum()


@given(distinct_primes(2), seeds)
def test_backward_agrees_with_the_complex_step(sizes, seed):
    rng = np.random.default_rng(seed)
    (A,) = normal(rng, sizes)
    for value in (A, *adversarial(rng, A, huge=1e50)):  # fourth powers of 1e100 overflow
        assert_gradient(hard_orthogonality_forward, hard_orthogonality_backward, [value], rng)


def test_float32_and_float64_are_within_the_rounding_bounds(rng):
    assert_certified(hard_orthogonality_forward, hard_orthogonality_backward, normal(rng, (3, 5)), rng)


def test_orthonormal_rows_cost_nothing_and_too_many_rows_at_least_their_excess():
    assert hard_orthogonality_forward(np.eye(5)[[3, 0, 4]])[0] == 0
    A = np.eye(5)[[0, 1, 2, 3, 4, 0, 1]] * 0.5**0.5
    assert hard_orthogonality_forward(A)[0] >= 2


def test_bad_input_is_named(rng):
    with pytest.raises(ShapeError, match=r"hard_orthogonality_forward: A has shape \(5,\), expected \(R, d_in\)"):
        hard_orthogonality_forward(np.ones(5))
    with pytest.raises(ShapeError, match=r"A has shape \(0, 5\), expected at least one element"):
        hard_orthogonality_forward(np.ones((0, 5)))
    with pytest.raises(NonFiniteError, match="A has NaN or infinity"):
        hard_orthogonality_forward(np.full((3, 5), np.nan))
    _, saved = hard_orthogonality_forward(np.ones((3, 5)))
    with pytest.raises(NonFiniteError, match="hard_orthogonality_backward: dpenalty has NaN or infinity"):
        hard_orthogonality_backward(np.nan, saved)
