"""SVD: one factor pair is the best of its rank at every rank at once, on matrices whose decomposition is known exactly.

Each claim is tested twice: on the exact factors run through the layer, and on what `factorise_svd` finds in float64.
"""

import numpy as np
import pytest
from claims import exact
from claims.decompositions import decompositions, of_rank, root, squares, tolerance
from claims.strategies import exactly
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.surgery import factorise


def weights(known):
    """Every W_r of the exact factors, by the layer."""
    layer = known.layer(exact.identity(len(known.V)))
    return {r: layer.weight(r) for r in known.ranks}


def found_weights(known):
    """Every W_r of the factors that `factorise_svd` finds, their product not rounded."""
    A, B = map(exactly, factorise.factorise_svd(known.W.astype(np.float64)))
    return {r: exact.outer_products(A, B, 0, r) for r in known.ranks}


@st.composite
def rivals(draw, known, rank):
    """A matrix of rank at most `rank`, of the size of W or near to its best approximation."""
    X = draw(of_rank(rank, *known.W.shape, scale=known.s[0]))
    if draw(st.booleans()):
        return X
    E = draw(of_rank(rank, rank, rank)) / 64 + exact.identity(rank)
    return (known.U[:, :rank] * known.s[:rank]) @ E @ known.V[:, :rank].T


@pytest.mark.claim("SVD-1")
@given(decompositions(), st.data())
def test_every_prefix_is_nearest(known, data):
    """Eckart-Young in the Frobenius norm at every rank at once: the SVD factors, cut at any r, are the nearest matrix
    of rank at most r.
    """
    W, found = known.W, found_weights(known)
    for r, W_r in weights(known).items():
        rival = squares(W - data.draw(rivals(known, r)))
        assert squares(W - W_r) <= rival
        assert root(squares(W - found[r])) <= root(rival) + tolerance(W)


@pytest.mark.claim("SVD-2")
@given(decompositions())
def test_residual_is_the_tail(known):
    """The residual of the SVD factors at rank r is the tail energy."""
    W, found = known.W, found_weights(known)
    for r, W_r in weights(known).items():
        assert squares(W - W_r) == known.tail(r)
        assert abs(root(squares(W - found[r])) - root(known.tail(r))) <= tolerance(W)


@pytest.mark.claim("SVD-2")
@given(decompositions(), st.data())
def test_residual_is_best_within_the_rows(known, data):
    """No matrix whose rows lie in the span of A_r is nearer to W than W_r, and each step leaves out less."""
    W, layer_weights = known.W, weights(known)
    for r, W_r in layer_weights.items():
        Y = data.draw(of_rank(r, len(W), r, scale=known.s[0])) @ known.V[:, :r].T
        assert squares(W - W_r) <= squares(W - Y)
        for s in range(r, len(known.s) + 1):
            step = squares(layer_weights[s] - W_r)
            assert step == known.tail(r) - known.tail(s) >= 0


@pytest.mark.claim("SVD-3")
@given(decompositions(), st.data())
def test_every_prefix_is_nearest_in_the_spectral_norm(known, data):
    """Eckart-Young in the spectral norm, at every rank at once.

    W - W_r stretches no vector by more than s_(r+1), and some vector by as much. A rival X of rank r has a vector z in
    the span of v_1, ..., v_(r+1) with X z = 0, and stretches it by no less.
    """
    W, found = known.W, found_weights(known)
    for r, W_r in list(weights(known).items())[:-1]:
        largest, v = known.s[r], known.V[:, r]
        z = data.draw(of_rank(1, W.shape[1], 1))
        assert squares((W - W_r) @ z) <= largest**2 * squares(z)
        assert squares((W - W_r) @ v) == largest**2
        X = data.draw(rivals(known, r))
        first = known.V[:, : r + 1]
        z = first @ exact.kernel(X @ first)[:, 0]
        assert z.any() and not (X @ z).any()
        assert squares((W - X) @ z) >= largest**2 * squares(z)
        residual = (W - found[r]).astype(np.float64)
        assert abs(np.linalg.norm(residual, 2) - float(largest)) <= tolerance(W)


@pytest.mark.claim("SVD-4")
@given(decompositions())
def test_the_decomposition_exists(known):
    """Every matrix has a thin singular value decomposition, with positive singular values in decreasing order.

    `factorise_svd` finds it, as B = U sqrt(S) and A = sqrt(S) V^T: the singular values are the ones that were chosen.
    """
    W = known.W
    A, B = map(exactly, factorise.factorise_svd(W.astype(np.float64)))
    S = np.diag(known.s)
    for wrong in (W - B @ A, B.T @ B - S, A @ A.T - S):
        assert root(squares(wrong)) <= tolerance(W)
