"""Factorisations by their residuals: Eckart-Young at every rank, and the output error on given inputs."""

import numpy as np
import pytest
from helpers import distinct_primes, normal, seeds
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.errors import DataError, DTypeError, NonFiniteError, RankError, ShapeError
from nsn_ref.surgery.factorise import factorise_svd, factorise_whitened

U = 2.0**-53


def prefixes(A, B):
    return [B[:, :r] @ A[:r] for r in range(1, len(A) + 1)]


def tolerance(W, u=U):
    """c u norm(W): a backward stable SVD errs by a modest multiple of the dimensions; c = 16 (d_in + d_out).

    The factors round once each, their product as often as it has components: less than d_in + d_out more.
    """
    return 16 * sum(W.shape) * u * np.linalg.norm(W)


def vector_tolerance(W):
    """Wedin: singular vectors turn by at most sqrt(2) error / gap; here two of them, scaled by the roots of s."""
    s = np.linalg.svd(W, compute_uv=False)
    return 4 * tolerance(W) / np.min(-np.diff(s)) * np.sqrt(s.sum())


@given(distinct_primes(2), seeds, st.sampled_from([1e-100, 1.0, 1e100]))
def test_residual_at_every_rank_is_the_tail_of_the_singular_values(sizes, seed, scale):
    """The singular values are chosen, so that the tail is known without another decomposition."""
    d_out, d_in = sizes
    rng = np.random.default_rng(seed)
    k = min(sizes)
    left, right = (np.linalg.qr(rng.standard_normal((d, d)))[0][:, :k] for d in sizes)
    s = np.sort(rng.uniform(0.1, 3.0, k))[::-1] * scale
    W = (left * s) @ right.T
    A, B = factorise_svd(W)
    assert A.shape == (k, d_in) and B.shape == (d_out, k)
    for r, W_r in enumerate(prefixes(A, B), start=1):
        assert abs(np.linalg.norm(W - W_r) - np.linalg.norm(s[r:])) <= tolerance(W)
        spectral = np.linalg.norm(W - W_r, 2)
        assert abs(spectral - (s[r] if r < k else 0)) <= tolerance(W)


@given(distinct_primes(2), seeds)
def test_no_competitor_of_the_same_rank_is_nearer(sizes, seed):
    rng = np.random.default_rng(seed)
    (W,) = normal(rng, sizes)
    A, B = factorise_svd(W)
    for r, W_r in enumerate(prefixes(A, B), start=1):
        best = np.linalg.norm(W - W_r)
        for size in (1e-3, 0.1, 1.0):
            dA, dB = normal(rng, A[:r].shape, B[:, :r].shape)
            rival = (B[:, :r] + size * dB) @ (A[:r] + size * dA)
            assert best <= np.linalg.norm(W - rival) + tolerance(W)


@given(distinct_primes(2), seeds)
def test_factors_are_balanced_orthogonal_and_ordered(sizes, seed):
    (W,) = normal(np.random.default_rng(seed), sizes)
    A, B = factorise_svd(W)
    s = np.linalg.svd(W, compute_uv=False)
    assert np.linalg.norm(A @ A.T - np.diag(s)) <= tolerance(W)
    assert np.linalg.norm(B.T @ B - np.diag(s)) <= tolerance(W)


def test_signs_do_not_depend_on_lapack(rng):
    """Flipping the sign of any singular pair must be undone: the largest element of every b_i is positive."""
    (W,) = normal(rng, (7, 5))
    for B in (factorise_svd(W)[1], factorise_svd(-W)[1], factorise_whitened(W, np.eye(5))[1]):
        assert (B[np.argmax(np.abs(B), axis=0), np.arange(5)] > 0).all()
    A, B = factorise_svd(W)
    minus_A, minus_B = factorise_svd(-W)
    assert np.linalg.norm(B - minus_B) <= vector_tolerance(W)
    assert np.linalg.norm(A + minus_A) <= vector_tolerance(W)


def test_fewer_components_are_a_prefix(rng):
    (W,) = normal(rng, (7, 5))
    A, B = factorise_svd(W)
    A_3, B_3 = factorise_svd(W, 3)
    assert (A[:3] == A_3).all() and (B[:, :3] == B_3).all()


def test_rank_deficient_and_zero_weights(rng):
    b, a = normal(rng, (7, 1), (1, 5))
    W = b @ a
    A, B = factorise_svd(W)
    assert np.linalg.norm(W - B[:, :1] @ A[:1]) <= tolerance(W)
    A, B = factorise_svd(np.zeros((7, 5)))
    assert not A.any() and not B.any()


def inputs_of(rng, n, d_in):
    """Inputs with unequal scales and correlations, (n, d_in)."""
    return rng.standard_normal((n, d_in)) * 10.0 ** rng.uniform(-1, 1, d_in) @ rng.standard_normal((d_in, d_in))


def output_error(x, W, W_r):
    return np.linalg.norm(x @ (W - W_r).T)


@given(distinct_primes(2), seeds)
def test_whitened_output_error_is_the_closed_form_at_every_rank(sizes, seed):
    """The singular values of W S, with S the Cholesky factor of the Gram matrix, which the code does not use."""
    rng = np.random.default_rng(seed)
    (W,) = normal(rng, sizes)
    d_in = W.shape[1]
    x = inputs_of(rng, 3 * d_in, d_in)
    gram = x.T @ x
    tail = np.linalg.svd(W @ np.linalg.cholesky(gram), compute_uv=False)
    A, B = factorise_whitened(W, gram)
    plain = prefixes(*factorise_svd(W))
    # The root is inverted, so errors grow with its condition number, the root of the Gram matrix's.
    slack = tolerance(W) * np.linalg.norm(x) * np.sqrt(np.linalg.cond(gram))
    for r, W_r in enumerate(prefixes(A, B), start=1):
        error = output_error(x, W, W_r)
        assert abs(error - np.linalg.norm(tail[r:])) <= slack
        assert error <= output_error(x, W, plain[r - 1]) + slack
        for size in (1e-3, 0.1, 1.0):
            dA, dB = normal(rng, A[:r].shape, B[:, :r].shape)
            assert error <= output_error(x, W, (B[:, :r] + size * dB) @ (A[:r] + size * dA)) + slack


def test_whitening_matters(rng):
    """Where inputs are far from isotropic, plain SVD is worse by a wide margin, so the comparison above is not idle."""
    (W,) = normal(rng, (11, 7))
    x = rng.standard_normal((50, 7)) * 10.0 ** np.arange(7)
    whitened, plain = (prefixes(*f)[2] for f in (factorise_whitened(W, x.T @ x), factorise_svd(W)))
    assert output_error(x, W, whitened) < 1e-2 * output_error(x, W, plain)


def test_isotropic_inputs_give_plain_svd(rng):
    (W,) = normal(rng, (7, 5))
    for whitened, plain in zip(
        prefixes(*factorise_whitened(W, 4 * np.eye(5))), prefixes(*factorise_svd(W)), strict=True
    ):
        assert np.linalg.norm(whitened - plain) <= 2 * vector_tolerance(W) * np.linalg.norm(W) ** 0.5  # of two factors


def test_singular_gram_serves_seen_directions_first_and_unseen_ones_last(rng):
    """Three inputs in seven dimensions: rank 3 reproduces every output, all components reproduce the matrix."""
    (W,) = normal(rng, (11, 7))
    x = inputs_of(rng, 3, 7)
    gram = x.T @ x
    A, B = factorise_whitened(W, gram)
    W_r = prefixes(A, B)
    size = np.linalg.norm(W) * np.linalg.norm(x)
    # Raising eigenvalues to 7 eps (the largest) adds at most sqrt(7 eps) norm(x) norm(W) to an output error.
    raised = np.sqrt(7 * 2 * U) * size
    tail = np.linalg.svd(W @ x.T, compute_uv=False)
    for r in (1, 2, 3):
        assert abs(output_error(x, W, W_r[r - 1]) - np.linalg.norm(tail[r:])) <= 2 * raised
    # The inverse root magnifies roundings by at most 1 / sqrt(7 eps).
    assert np.linalg.norm(W - W_r[-1]) <= tolerance(W) / np.sqrt(7 * 2 * U)


def test_inputs_that_are_always_zero(rng):
    """Eigenvalues of exactly 0: all components together still give W, to roundings magnified by 1 / sqrt(7 eps)."""
    (W,) = normal(rng, (11, 7))
    A, B = factorise_whitened(W, np.diag([1.0, 0, 4, 0, 0, 9, 0]))
    assert np.linalg.norm(W - B @ A) <= tolerance(W) / np.sqrt(7 * 2 * U)
    seen = np.diag([1.0, 0, 1, 0, 0, 1, 0])
    assert np.linalg.norm((W - B[:, :3] @ A[:3]) @ seen) <= np.sqrt(7 * 2 * U) * 3 * np.linalg.norm(W)


def test_scale_of_the_gram_matrix_does_not_matter(rng):
    (W,) = normal(rng, (7, 5))
    x = inputs_of(rng, 20, 5)
    (A, B), (A_16, B_16) = (factorise_whitened(W, gram) for gram in (x.T @ x, 16 * x.T @ x))
    assert (B_16 == 2 * B).all() and (A_16 == A / 2).all()  # powers of two are exact


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(rng, dtype):
    W = rng.standard_normal((7, 5)).astype(dtype)
    u = float(np.finfo(dtype).eps) / 2
    for A, B in (factorise_svd(W), factorise_whitened(W, np.eye(5, dtype=dtype))):
        assert A.dtype == B.dtype == dtype
        assert np.linalg.norm(W - B @ A) <= tolerance(W, u)


def test_bad_input_is_named(rng):
    W, gram = rng.standard_normal((7, 5)), np.eye(5)
    for R in (0, 6, 2.0):
        with pytest.raises(RankError, match=r"factorise_svd: R is .*, expected an integer in 1\.\.5"):
            factorise_svd(W, R)
        with pytest.raises(RankError, match=r"factorise_whitened: R is .*, expected an integer in 1\.\.5"):
            factorise_whitened(W, gram, R)
    with pytest.raises(ShapeError, match=r"gram has shape \(7, 7\), expected \(d_in, d_in\) = \(5, 5\)"):
        factorise_whitened(W, np.eye(7))
    with pytest.raises(ShapeError, match=r"factorise_svd: W has shape \(0, 5\), expected at least one element"):
        factorise_svd(W[:0])
    with pytest.raises(DTypeError, match="factorise_svd: W has dtype complex128"):
        factorise_svd(W.astype(complex))
    with pytest.raises(DTypeError, match="gram holds float32, expected float64 as W does"):
        factorise_whitened(W, gram.astype(np.float32))
    with pytest.raises(NonFiniteError, match="W has NaN or infinity"):
        factorise_svd(W * np.nan)
    with pytest.raises(DataError, match="factorise_whitened: gram differs from its transpose by 1"):
        factorise_whitened(W, gram + np.eye(5, k=1))
    for bad in (-gram, 0 * gram, np.diag([1.0, 1, 1, 1, -0.5])):
        with pytest.raises(DataError, match=r"gram has eigenvalues from .* to .*, expected none below 0 and one above"):
            factorise_whitened(W, bad)
