"""Containment: known answers, invariance, and the case where the paper's score fails."""

import numpy as np
import pytest
from helpers import distinct_primes, normal, seeds
from hypothesis import given

from nsn_ref.analysis.containment import containment, singular_vector_score
from nsn_ref.errors import DTypeError, RankError, ShapeError

TOLERANCE = 1e-9  # subspaces of well-conditioned random factors: errors of order (condition number, below 1e6) u


def layer(seed, R, d_in, d_out):
    return normal(np.random.default_rng(seed), (R, d_in), (d_out, R))


@given(seeds)
def test_full_rank_prefixes_are_contained_and_both_scores_say_so(seed):
    A, B = layer(seed, 5, 11, 13)
    for small in range(1, 6):
        for large in range(small, 6):
            assert abs(containment(A, B, small, large) - 1) <= TOLERANCE
            assert abs(singular_vector_score(A, B, small, large) - 1) <= TOLERANCE


@given(seeds)
def test_the_scores_agree_in_both_directions_at_full_rank(seed):
    """Below the diagonal a larger image is only partly in a smaller one: large / small at most, and here exactly."""
    A, B = layer(seed, 5, 11, 13)
    for small in range(2, 6):
        for large in range(1, small):
            score = singular_vector_score(A, B, small, large)
            assert abs(score - containment(A, B, small, large)) <= TOLERANCE
            assert abs(score - large / small) <= TOLERANCE


def test_containment_is_what_the_projectors_say(rng):
    """tr(P_small P_large), with P = W pinv(W), for images that are neither nested nor orthogonal."""
    A, B = normal(rng, (5, 3), (7, 5))
    A[1] = 2 * A[0]  # W_1 has image span(b_1), W_2 has span(b_1 + 2 b_2)
    W = [B[:, :r] @ A[:r] for r in range(6)]
    P = [w @ np.linalg.pinv(w) for w in W]
    for small in range(1, 6):
        for large in range(1, 6):
            expected = np.trace(P[small] @ P[large]) / np.linalg.matrix_rank(W[small])
            assert abs(containment(A, B, small, large) - expected) <= TOLERANCE
    assert containment(A, B, 1, 2) < 0.9  # Def. 2 of the paper is false as stated


def test_a_lower_rank_misleads_the_papers_score_and_not_the_projectors():
    """W_2 has rank 1 and lies in W_3; its second singular vector is arbitrary, so half of the score is chance."""
    scores = []
    for seed in range(16):
        A, B = layer(seed, 3, 103, 97)
        A[1] = A[0]
        assert abs(containment(A, B, 2, 3) - 1) <= TOLERANCE
        scores.append(singular_vector_score(A, B, 2, 3))
    assert 0.5 - TOLERANCE <= min(scores) < 0.6


@given(distinct_primes(3), seeds)
def test_the_gauge_changes_nothing(sizes, seed):
    R, d_in, d_out = sizes
    A, B = layer(seed, R, d_in, d_out)
    c = 2.0 ** np.random.default_rng(seed).integers(-9, 10, R)
    for small, large in ((1, R), (R, 1), (R, R)):
        assert containment(A * c[:, None], B / c, small, large) == containment(A, B, small, large)


@pytest.mark.parametrize("transposed", [False, True])
def test_tiny_singular_values_count_as_zero(transposed):
    """Up to max(d_in, d_out) eps times the largest, whichever side is the longer."""
    eps = np.finfo(np.float64).eps
    for second, rank in ((10 * eps, 1), (12 * eps, 2)):  # of 11 eps
        A, B = np.diag([1.0, second]), np.eye(11, 2)
        A, B = (B.T, A) if transposed else (A, B)
        assert containment(A, B, 2, 1) == 1 / rank


def test_orthogonal_images_and_zero_matrices():
    A, B = np.eye(4), np.eye(4)
    A[0] = 0  # W_1 = 0: contained in everything
    assert containment(A, B, 1, 3) == 1
    assert containment(A, B, 2, 1) == 0
    A = np.array([[1.0, 0.0], [-1.0, 1.0], [1.0, 0.0]])
    B = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    assert containment(A[:1], B[:, :1], 1, 1) == 1
    assert abs(containment(A, B, 1, 3) - 1) <= TOLERANCE


def test_bad_input_is_named(rng):
    A, B = normal(rng, (11, 3), (7, 11))
    with pytest.raises(RankError, match=r"containment: large is 12, expected an integer in 1\.\.11"):
        containment(A, B, 1, 12)
    with pytest.raises(RankError, match=r"singular_vector_score: small is 4, expected an integer in 1\.\.3"):
        singular_vector_score(A, B, 4, 3)
    with pytest.raises(ShapeError, match=r"containment: B has shape \(7, 10\)"):
        containment(A, B[:, :10], 1, 2)
    with pytest.raises(DTypeError, match="containment: A has type list"):
        containment(A.tolist(), B, 1, 2)
