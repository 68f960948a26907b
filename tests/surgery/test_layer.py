"""The factors of one layer and the errors that are reported of them."""

import numpy as np
import pytest

from nsn_ref.surgery.layer import factorise_layer


def relative_errors(W, x, A, B):
    """norm((W - W_r) x) / norm(W x) at every rank."""
    missed = [(W - B[:, :r] @ A[:r]) @ x for r in range(1, len(A) + 1)]
    return np.array([np.linalg.norm(m) for m in missed]) / np.linalg.norm(W @ x)


@pytest.mark.parametrize("shape", [(31, 23), (23, 31)])
@pytest.mark.parametrize("whitened", [False, True])
@pytest.mark.parametrize("method", ["exact", "randomised"])
def test_reported_errors_are_those_of_the_factors(rng, shape, whitened, method):
    """At every rank: the randomised method estimates its last one from 16 vectors, here to a fifth."""
    W = rng.standard_normal(shape)
    x = rng.standard_normal((shape[1], 99)) * 10.0 ** rng.uniform(-1, 1, shape[1])[:, None]
    found = factorise_layer(W, 11, rng, method=method, gram=x @ x.T if whitened else None)
    true = relative_errors(W, x if whitened else np.eye(shape[1]), found.A, found.B)
    assert found.method == method and found.errors.shape == (11,)
    assert (np.abs(found.errors / true - 1) <= (1e-6 if method == "exact" else 0.2)).all()
    s = np.linalg.svd(W @ np.linalg.cholesky(x @ x.T) if whitened else W, compute_uv=False)
    assert abs(found.best / (np.linalg.norm(s[11:]) / np.linalg.norm(s)) - 1) <= 1e-6


def test_all_components_leave_nothing_out(rng):
    found = factorise_layer(rng.standard_normal((7, 5)), 5, rng)
    assert found.errors[-1] == 0 and found.best == 0
    zero = factorise_layer(np.zeros((7, 5)), 3, rng)
    assert (zero.errors == 0).all()


def test_large_layers_are_projected_where_few_components_are_kept(rng, monkeypatch):
    monkeypatch.setattr("nsn_ref.surgery.layer.LARGE", 100)
    W = rng.standard_normal((13, 11))
    assert factorise_layer(W, 2, rng).method == "randomised"
    assert factorise_layer(W, 3, rng).method == "exact"
    assert factorise_layer(W[:5], 1, rng).method == "exact"
    monkeypatch.setattr("nsn_ref.surgery.layer.AFFORDABLE", 10)
    assert factorise_layer(W, 2, rng).best is None


@pytest.mark.parametrize("method", ["exact", "randomised"])
def test_a_gram_matrix_of_few_inputs(rng, method):
    """Three inputs in float32: three components reproduce the outputs, all of them the weights."""
    W, x = (rng.standard_normal(shape).astype(np.float32) for shape in ((13, 7), (7, 3)))
    gram = x @ x.T
    found = factorise_layer(W, 7, rng, method=method, gram=gram)
    assert found.errors[2] <= 1e-2 and found.errors[6] <= 1e-5
    assert np.linalg.norm(W - found.B @ found.A) <= 1e-3 * np.linalg.norm(W)
    assert relative_errors(W, x, found.A, found.B)[2] <= 1e-2
