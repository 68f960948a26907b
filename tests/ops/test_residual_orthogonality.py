"""residual_orthogonality against a scalar loop, exact algebra and the complex step."""

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
from hypothesis import strategies as st

from nsn_ref.errors import NonFiniteError, RankError, ShapeError
from nsn_ref.ops.residual_orthogonality import residual_orthogonality_backward, residual_orthogonality_forward


def by_scalar_loop(A, rank, anchor):
    total = Fraction(0)
    for i in range(rank):
        for j in range(rank, anchor):
            total += sum(p * q for p, q in zip(A[i], A[j], strict=True)) ** 2
    return total


@st.composite
def problems(draw):
    """The shape of A, the anchor (R or below), and a rank: 1, interior or anchor - 1."""
    R, d_in = draw(distinct_primes(2))
    anchor = draw(st.integers(2, R))
    rank = draw(st.sampled_from([1, anchor // 2, anchor - 1]))
    return (R, d_in), rank, anchor, np.random.default_rng(draw(seeds))


@given(problems())
def test_forward_is_the_scalar_loop_exactly(problem):
    shape, rank, anchor, rng = problem
    A = random_fractions(rng, *shape)
    penalty, saved = residual_orthogonality_forward(A, rank, anchor)
    assert penalty == by_scalar_loop(A, rank, anchor)
    assert_number_type(Fraction, penalty, residual_orthogonality_backward(Fraction(2, 3), saved))


@given(problems())
def test_backward_is_the_derivative_exactly(problem):
    """Along a line the penalty is a polynomial of degree 4, whose derivative at 0 a five-point rule gives exactly."""
    shape, rank, anchor, rng = problem
    A, v = random_fractions(rng, *shape), random_fractions(rng, *shape)
    f = [residual_orthogonality_forward(A + t * v, rank, anchor)[0] for t in (-2, -1, 1, 2)]
    derivative = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / 12
    _, saved = residual_orthogonality_forward(A, rank, anchor)
    dA = residual_orthogonality_backward(Fraction(-7, 3), saved)
    assert Fraction(-7, 3) * derivative == (dA * v).sum()
    assert (dA[anchor:] == 0).all()


@given(problems())
def test_backward_agrees_with_the_complex_step(problem):
    shape, rank, anchor, rng = problem
    (A,) = normal(rng, shape)
    for value in (A, *adversarial(rng, A, huge=1e50)):  # fourth powers of 1e100 overflow
        if (value == 0).any():
            continue  # a zero gradient has tolerance 0 and the step leaves h^2 = 1e-181; the exact test has zeros
        assert_gradient(
            lambda A: residual_orthogonality_forward(A, rank, anchor), residual_orthogonality_backward, [value], rng
        )


def test_float32_and_float64_are_within_the_rounding_bounds(rng):
    assert_certified(
        lambda A: residual_orthogonality_forward(A, 2, 5), residual_orthogonality_backward, normal(rng, (7, 3)), rng
    )


def test_bad_input_is_named(rng):
    A = np.ones((7, 3))
    for anchor in (0, 8, None):
        with pytest.raises(
            RankError, match=r"residual_orthogonality_forward: anchor is .*, expected an integer in 1\.\.7"
        ):
            residual_orthogonality_forward(A, 1, anchor)
    for rank in (0, 5, True):
        with pytest.raises(RankError, match=r"rank is .*, expected an integer in 1\.\.4"):
            residual_orthogonality_forward(A, rank, 5)
    with pytest.raises(ShapeError, match=r"A has shape \(7,\), expected \(R, d_in\)"):
        residual_orthogonality_forward(A[:, 0], 1, 5)
    with pytest.raises(NonFiniteError, match="A has NaN or infinity"):
        residual_orthogonality_forward(A * np.inf, 1, 5)
    _, saved = residual_orthogonality_forward(A, 1, 5)
    with pytest.raises(NonFiniteError, match="residual_orthogonality_backward: dpenalty has NaN or infinity"):
        residual_orthogonality_backward(-np.inf, saved)
