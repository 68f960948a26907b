"""Random projections against the exact decomposition, and the error that they report against the one they make."""

import numpy as np
import pytest

from nsn_ref.errors import DataError, NonFiniteError, OptionError, RankError, ShapeError
from nsn_ref.surgery.eigen import spectrum, tail
from nsn_ref.surgery.factorise import factorise_svd, factorise_whitened
from nsn_ref.surgery.randomised import factorise_randomised


def decaying(rng, d_out, d_in, dtype=np.float64):
    """A matrix with singular values 1, 0.9, 0.81, ..."""
    k = min(d_out, d_in)
    U, V = (np.linalg.qr(rng.standard_normal((d, k)))[0] for d in (d_out, d_in))
    return ((U * 0.9 ** np.arange(k)) @ V.T).astype(dtype)


@pytest.mark.parametrize("shape", [(97, 61), (61, 97)])
def test_close_to_the_best_at_every_rank(rng, shape):
    """With two power iterations the error at the largest rank is the best one to a per cent, below it to much less."""
    W = decaying(rng, *shape)
    found = factorise_randomised(W, 23, rng)
    best = tail(0.9 ** np.arange(61))
    for r in (1, 7, 23):
        error = np.linalg.norm(W - found.B[:, :r] @ found.A[:r])
        assert best[r] * (1 - 1e-9) <= error <= best[r] * (1.01 if r == 23 else 1.0001)
    assert (np.abs(found.singular_values[:7] / 0.9 ** np.arange(7) - 1) <= 1e-3).all()
    assert (found.singular_values <= 0.9 ** np.arange(23) * (1 + 1e-12)).all()


def test_power_iterations_and_oversampling_help(rng):
    """On a flat spectrum, where a plain projection misses much."""
    W = rng.standard_normal((97, 61))
    errors = [
        np.mean([np.linalg.norm(W - f.B @ f.A) for f in (factorise_randomised(W, 5, rng, **how) for _ in range(20))])
        for how in ({"power": 0, "oversampling": 0}, {"power": 1, "oversampling": 0}, {"power": 4})
    ]
    assert errors[0] > 1.02 * errors[1] > 1.02 * errors[2] > np.linalg.norm(W - np.matmul(*factorise_svd(W, 5)[::-1]))


def test_the_reported_error_is_without_bias(rng):
    """The mean of its square over many draws, within four standard errors of the true one.

    norm(M g)^2 has the variance 2 norm_F(M^T M)^2 for standard normal g.
    """
    W = decaying(rng, 31, 23)
    squares, truth, variance = [], [], 0.0
    for _ in range(400):
        f = factorise_randomised(W, 5, rng, samples=2)
        missed = W - f.B @ f.A
        squares.append(f.error**2)
        truth.append(np.linalg.norm(missed) ** 2)
        variance += 2 * np.linalg.norm(missed.T @ missed) ** 2 / 2
    assert abs(np.sum(squares) - np.sum(truth)) <= 4 * np.sqrt(variance)


def test_all_components_give_the_matrix(rng):
    W = rng.standard_normal((13, 7))
    f = factorise_randomised(W, 7, rng)
    assert np.linalg.norm(W - f.B @ f.A) <= 1e-13 * np.linalg.norm(W)
    assert f.error <= 1e-13 * np.linalg.norm(W)


@pytest.mark.parametrize("shape", [(31, 23), (23, 31)])
def test_whitened(rng, shape):
    """The components are those of the whitened factorisation, as far as their values lie apart."""
    W = decaying(rng, *shape)
    x = rng.standard_normal((200, shape[1])) * 10.0 ** rng.uniform(-1, 1, shape[1])
    f = factorise_randomised(W, 7, rng, gram=x.T @ x, power=6)
    best = tail(np.linalg.svd(x @ W.T, compute_uv=False))
    A, B = factorise_whitened(W, x.T @ x, 7)
    for r in (1, 3, 7):
        error = np.linalg.norm(x @ (W - f.B[:, :r] @ f.A[:r]).T)
        assert best[r] * (1 - 1e-9) <= error <= 1.001 * best[r]
        assert abs(error - np.linalg.norm(x @ (W - B[:, :r] @ A[:r]).T)) <= 1e-3 * best[r]
    assert 0.5 * best[7] <= f.error <= 2 * best[7]
    assert (np.abs(f.singular_values / np.linalg.svd(x @ W.T, compute_uv=False)[:7] - 1) <= 1e-3).all()


def test_the_reported_error_of_whitened_factors_is_without_bias(rng):
    """As above, of M = S^T (W - B A)^T: norm_F(M^T M) is that of E G E^T."""
    W, x = decaying(rng, 31, 23), rng.standard_normal((200, 23)) * 10.0 ** rng.uniform(-1, 1, 23)
    squares, truth, variance = [], [], 0.0
    for _ in range(400):
        f = factorise_randomised(W, 5, rng, gram=x.T @ x, samples=2)
        missed = x @ (W - f.B @ f.A).T
        squares.append(f.error**2)
        truth.append(np.linalg.norm(missed) ** 2)
        variance += 2 * np.linalg.norm(missed.T @ missed) ** 2 / 2
    assert abs(np.sum(squares) - np.sum(truth)) <= 4 * np.sqrt(variance)


def test_seeded_and_in_the_dtype_of_the_weights(rng):
    W = decaying(rng, 31, 23, np.float32)
    one, other, third = (factorise_randomised(W, 5, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one.A == other.A).all() and (one.B == other.B).all() and one.error == other.error
    assert (one.A != third.A).any() and one.A.dtype == one.B.dtype == np.float32


def test_rows_are_read_in_any_number(rng, monkeypatch):
    W = decaying(rng, 31, 23)
    whole = spectrum(W)
    monkeypatch.setattr("nsn_ref.surgery.randomised.ROWS", 100)  # four rows
    assert (np.abs(spectrum(W) - whole) <= 1e-8).all()
    f = factorise_randomised(W, 23, rng)
    assert np.linalg.norm(W - f.B @ f.A) <= 1e-13 * np.linalg.norm(W)


@pytest.mark.parametrize("shape", [(13, 7), (7, 13), (1, 5)])
def test_spectrum(rng, shape):
    W, S = rng.standard_normal(shape), rng.standard_normal((shape[1], 2 * shape[1]))
    for matrix, found in ((W, spectrum(W)), (W @ S, spectrum(W, S @ S.T))):
        s = np.linalg.svd(matrix, compute_uv=False)
        assert (np.abs(found - s[: min(shape)]) <= 1e-7 * s[0]).all() and found.shape == (min(shape),)
    assert (spectrum(np.zeros(shape)) == 0).all()


def test_bad_input_is_named(rng):
    W = rng.standard_normal((7, 5))
    with pytest.raises(RankError, match=r"factorise_randomised: R is 6, expected an integer in 1\.\.5"):
        factorise_randomised(W, 6, rng)
    with pytest.raises(OptionError, match="oversampling is -1"):
        factorise_randomised(W, 2, rng, oversampling=-1)
    with pytest.raises(ShapeError, match=r"gram has shape \(7, 7\), expected \(d_in, d_in\) = \(5, 5\)"):
        factorise_randomised(W, 2, rng, gram=np.eye(7))
    with pytest.raises(NonFiniteError, match="factorise_randomised: gram has NaN"):
        factorise_randomised(W, 2, rng, gram=np.full((5, 5), np.nan))
    with pytest.raises(DataError, match="factorise_randomised: gram is zero"):
        factorise_randomised(W, 2, rng, gram=np.zeros((5, 5)))
    with pytest.raises(NonFiniteError, match="factorise_randomised: W has NaN"):
        factorise_randomised(W * np.nan, 2, rng)
    with pytest.raises(NonFiniteError, match="spectrum: W has NaN"):
        spectrum(W * np.nan)
