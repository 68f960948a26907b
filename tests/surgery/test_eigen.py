"""Factors from the eigenvectors of a Gram matrix, against the singular value decomposition."""

import numpy as np
import pytest

from nsn_ref.errors import DataError, NonFiniteError, RankError
from nsn_ref.surgery.eigen import factorise_eigen, spectrum
from nsn_ref.surgery.factorise import factorise_svd, factorise_whitened
from nsn_ref.surgery.layer import factorise_layer


def prefixes(A, B):
    return [B[:, :r] @ A[:r] for r in range(1, len(A) + 1)]


@pytest.mark.parametrize("shape", [(13, 7), (7, 13), (7, 7), (1, 5)])
@pytest.mark.parametrize("whitened", [False, True])
def test_the_matrices_of_the_svd(rng, shape, whitened, monkeypatch):
    """Random matrices, whose singular values lie apart: every W_r, A and B agree to roundings and the gaps."""
    monkeypatch.setattr("nsn_ref.surgery.eigen.ROWS", 29)
    monkeypatch.setattr("nsn_ref.surgery.randomised.ROWS", 29)
    W = rng.standard_normal(shape)
    x = rng.standard_normal((shape[1], 50))
    found = factorise_eigen(W, min(shape), x @ x.T if whitened else None)
    expected = factorise_whitened(W, x @ x.T) if whitened else factorise_svd(W)
    for ours, theirs in zip((*found, *prefixes(*found)), (*expected, *prefixes(*expected)), strict=True):
        assert np.abs(ours - theirs).max() <= 1e-10 * np.abs(theirs).max()


@pytest.mark.parametrize("shape", [(31, 23), (23, 31)])
def test_tiny_singular_values_lose_nothing_but_their_order(rng, shape):
    """Values down to 1e-12: the error of a rank exceeds the tail by at most 1e-8; all components leave nothing out."""
    k = min(shape)
    s = np.logspace(0, -12, k)
    left, right = (np.linalg.qr(rng.standard_normal((d, k)))[0] for d in shape)
    W = (left * s) @ right.T
    A, B = factorise_eigen(W, k)
    for r, W_r in enumerate(prefixes(A, B), start=1):
        assert np.linalg.norm(W - W_r) <= np.linalg.norm(s[r:]) + 1e-8
    assert np.linalg.norm(W - B @ A) <= 1e-13
    ten = np.arange(10)
    assert (np.abs(np.linalg.norm(A, axis=1)[ten] / np.linalg.norm(B, axis=0)[ten] - 1) <= 1e-3).all()  # balanced


def test_fewer_components_are_a_prefix_and_zero_weights_stay_zero(rng):
    W = rng.standard_normal((13, 7)).astype(np.float32)
    A, B = factorise_eigen(W, 7)
    A_3, B_3 = factorise_eigen(W, 3)
    assert np.abs(A[:3] - A_3).max() <= 1e-5 and np.abs(B[:, :3] - B_3).max() <= 1e-5 and A.dtype == np.float32
    assert (B[np.argmax(np.abs(B), axis=0), np.arange(7)] > 0).all()
    A, B = factorise_eigen(np.zeros((7, 5)), 5)
    assert (B @ A == 0).all()


@pytest.mark.parametrize("shape", [(13, 7), (7, 13)])
def test_few_inputs_decide_the_first_components_and_all_give_the_weights(rng, shape):
    """Three inputs, in float32: three components reproduce their outputs; those left free come last."""
    W, x = (rng.standard_normal(s).astype(np.float32) for s in (shape, (shape[1], 3)))
    A, B = factorise_eigen(W, min(shape), x @ x.T)
    assert np.linalg.norm((W - B[:, :3] @ A[:3]) @ x) <= 1e-2 * np.linalg.norm(W @ x)
    assert np.linalg.norm(W - B @ A) <= 1e-3 * np.linalg.norm(W)


@pytest.mark.parametrize("shape", [(31, 23), (23, 31)])
@pytest.mark.parametrize("whitened", [False, True])
def test_large_layers_in_single_precision_take_it(rng, shape, whitened, monkeypatch):
    """The errors that are reported are those of the factors, and of the decomposition of a small layer."""
    W = rng.standard_normal(shape).astype(np.float32)
    x = rng.standard_normal((shape[1], 99)).astype(np.float32)
    gram = x @ x.T if whitened else None
    small = factorise_layer(W, 11, rng, gram=gram)
    monkeypatch.setattr("nsn_ref.surgery.layer.LARGE", 100)
    monkeypatch.setattr("nsn_ref.surgery.layer.factorise_svd", None)
    monkeypatch.setattr("nsn_ref.surgery.layer.factorise_whitened", None)
    large = factorise_layer(W, 11, rng, gram=gram)
    assert large.method == "exact" and np.abs(large.errors - small.errors).max() <= 1e-5
    assert np.abs(large.B @ large.A - small.B @ small.A).max() <= 1e-5


def test_bad_input_is_named(rng):
    W = rng.standard_normal((7, 5))
    with pytest.raises(RankError, match=r"factorise_eigen: R is 6, expected an integer in 1\.\.5"):
        factorise_eigen(W, 6)
    for shape in ((5, 7), (7, 5)):
        with pytest.raises(DataError, match=r"factorise_eigen: gram (is|has eigenvalues)"):
            factorise_eigen(np.ones(shape), 2, np.zeros((shape[1], shape[1])))
    for function in (spectrum, lambda W: factorise_eigen(W, 2)):
        with pytest.raises(NonFiniteError, match="W has NaN"):
            function(W * np.nan)
