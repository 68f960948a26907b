"""SVD for given inputs: whitened factors, and training, where the best outputs at every rank are known exactly."""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from claims import exact
from claims.decompositions import EPS, Decomposed, decompositions, of_rank, root, rotations, squares, tolerance
from claims.strategies import RATIONAL, SIZES, exactly, matrices
from hypothesis import given
from hypothesis import strategies as st

import nsn_ref
from nsn_ref.surgery import factorise


class Whitened(NamedTuple):
    """Weights W and inputs x with x W^T = Q M^T, the columns of Q being orthonormal and the SVD of M known."""

    W: np.ndarray  # (d_out, d_in)
    x: np.ndarray  # (n, d_in)
    unwhiten: np.ndarray  # (q, d_in): q is the rank of x, and x unwhiten^T = Q
    known: Decomposed  # of M (d_out, q)

    @property
    def gram(self):
        """x^T x."""
        return self.x.T @ self.x

    @property
    def layer(self):
        """The nested layer whose factors undo the whitening of those of M."""
        return self.known.layer(self.x, self.unwhiten)


@st.composite
def whitened(draw):
    """S invertible, x = Q S_q^T with S_q its first q columns, and W such that W S_q = M; q < d_in as often as not."""
    d_out, d_in, n = (draw(st.sampled_from(SIZES)) for _ in range(3))
    q = min(n, d_in, draw(st.sampled_from((1, 2, *SIZES))))
    S = np.tril(draw(matrices(RATIONAL, d_in, d_in)), -1) * Fraction(1, 8) + exact.identity(d_in)
    S = S * np.array([Fraction(2) ** k for k in draw(st.lists(st.integers(-2, 2), min_size=d_in, max_size=d_in))])
    known, rest = (
        draw(decompositions(sizes=(d_out, q), scales=(Fraction(1),))),
        draw(matrices(RATIONAL, d_out, d_in - q)),
    )
    inverse = exact.inverse(S)
    W = np.hstack([known.W, rest]) @ inverse
    return Whitened(W, draw(rotations(n))[:, :q] @ S[:, :q].T, inverse[:q], known)


@pytest.mark.claim("SVD-5")
@given(whitened(), st.data())
def test_output_error_depends_on_the_gram_matrix_only(case, data):
    """The error of the outputs depends on the inputs through x^T x only: rotating the batch does not change it."""
    rotation = data.draw(rotations(len(case.x)))
    layer = case.layer
    for r in layer.ranks:
        error = case.W - layer.weight(r)
        expected = exact.inner(error @ case.gram, error)
        for x in (case.x, rotation @ case.x):
            assert squares(x @ case.W.T - layer._replace(x=x).output(r)) == expected


@pytest.mark.claim("SVD-5")
@given(whitened(), st.data())
def test_whitened_factors_are_best_for_the_inputs(case, data):
    """Whitened surgery minimises the error of the outputs for inputs with a given Gram matrix, at every rank at once;
    also for a singular one.
    """
    targets, layer = case.x @ case.W.T, case.layer
    for r in layer.ranks:
        error = squares(targets - layer.output(r))
        assert error == case.known.tail(r)
        X = data.draw(of_rank(r, *case.W.shape)) + layer.weight(r) * data.draw(st.sampled_from((0, 1)))
        if exact.rank(X) <= r:
            assert error <= squares(targets - case.x @ X.T)


@pytest.mark.claim("SVD-5")
@given(whitened())
def test_factorise_whitened_finds_them(case):
    """`factorise_whitened` reaches the least error, which is known here, from the float64 Gram matrix.

    Where that has full rank, with condition number c, it errs by roundings, relative c u, and those of the factors are
    magnified by sqrt(c) when the root is inverted. Where it is singular its eigenvalues 0 are raised to d_in eps times
    the largest, which costs at most sqrt(d_in eps) norm(x) times the norm of what the best weights leave out; the
    inverse root magnifies roundings to no more than that times norm(W).
    """
    gram = case.gram.astype(np.float64)
    A, B = map(exactly, factorise.factorise_whitened(case.W.astype(np.float64), gram))
    targets, (d_out, d_in) = case.x @ case.W.T, case.W.shape
    x_norm, W_norm, best = root(squares(case.x)), root(squares(case.W)), case.layer
    full_rank = len(case.unwhiten) == d_in
    for r in range(1, min(len(A), len(case.known.s)) + 1):
        error = root(squares(targets - case.x @ exact.outer_products(A, B, 0, r).T))
        least = root(case.known.tail(r))
        if full_rank:
            condition = np.linalg.cond(gram)
            relative = 16 * (d_in + d_out) * EPS / 2 * condition
            slack = relative * least + tolerance(case.W) * x_norm * np.sqrt(condition)
        else:
            left_out = root(squares(case.W - best.weight(r)))
            slack = 2 * np.sqrt(d_in * EPS) * x_norm * (W_norm + left_out)
        assert abs(error - least) <= slack


@pytest.mark.claim("SVD-6")
@given(whitened(), st.data())
def test_the_loss_at_all_ranks_is_least_where_each_is(case, data):
    """Training a linear nested model at all ranks: a global minimum is the best fit at every rank at once, so for white
    inputs it is the truncated SVD at every rank.

    The loss of a rival is above the least one, unless it is the least at every rank.
    """
    best, targets = case.layer, case.x @ case.W.T
    R = len(best.A)
    ranks = data.draw(st.lists(st.sampled_from(best.ranks), min_size=1, max_size=4))
    p = [Fraction(k) for k in data.draw(st.lists(st.integers(1, 9), min_size=len(ranks), max_size=len(ranks)))]
    G = exact.identity(R)
    G[0, R - 1] += data.draw(st.integers(0, 1))  # a rival that is as good at rank R
    change = data.draw(matrices(RATIONAL, *best.B.shape)) * data.draw(st.sampled_from((Fraction(0), Fraction(1, 64))))
    rival = best._replace(A=G @ best.A, B=best.B @ exact.inverse(G) + change)

    def errors(layer):
        ys = layer.engine.call("multirank_linear", *layer.arrays, ranks=ranks)
        return [squares(targets - y) for y in ys]

    least, found = errors(best), errors(rival)
    assert least == [case.known.tail(r) for r in ranks]
    total = sum(map(lambda p_k, a, b: p_k * (a - b), p, found, least))
    assert total >= 0
    assert (total == 0) == (found == least)


def trained(W, x, curriculum, steps):
    """Every W_r of a linear nested layer that is trained to give W x, from random factors."""
    d_out, d_in = W.shape
    config = nsn_ref.TrainConfig(
        steps=steps,
        batch_size=len(x),
        lr=0.1,
        weight_decay=0.0,
        curriculum=curriculum,
        loss="mean_squared_error",
        objective="sum",
        dtype="float64",
    )
    net = nsn_ref.MLP((d_in, d_out), R=min(W.shape), nested=(True,))
    params = nsn_ref.train(net, (x, x @ W.T), config, progress=False).params
    A, B = params["layers.0.A"], params["layers.0.B"]
    return {r: B[:, :r] @ A[:r] for r in range(1, len(A) + 1)}


@pytest.mark.claim("SVD-6")
def test_training_recovers_the_truncated_svd():
    """Training at all ranks on white inputs does converge to the truncated SVD, at every rank; training at R does not.

    1e-9 is no rounding bound: it says that the descent has converged. The anchor alone leaves the components unordered,
    and cut at rank 1 its error exceeds the best possible one by more than the whole of s_R.
    """
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((d, 5)))[0] for d in (7, 5))
    s = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    W = (U * s) @ V.T
    x = np.vstack([np.eye(5), -np.eye(5)])  # white, and centred: the best bias is 0
    at_all_ranks, at_R = trained(W, x, "all", steps=1400), trained(W, x, "anchor", steps=600)
    for r, W_r in at_all_ranks.items():
        truncated = (U[:, :r] * s[:r]) @ V[:, :r].T
        assert np.linalg.norm(W_r - truncated) <= 1e-9 * np.linalg.norm(W)
    assert np.linalg.norm(W - at_R[5]) <= 1e-9 * np.linalg.norm(W)
    assert np.linalg.norm(W - at_R[1]) > np.linalg.norm(s[1:]) + s[-1]
