"""LIN: the weights W_r of a nested layer, its ranks and its function classes, without rounding."""

from fractions import Fraction

import pytest
from claims import exact
from claims.strategies import RATIONAL, SIZES, both_engines, layers, matrices
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.claim("LIN-1")
@both_engines
@given(layers())
def test_weights_are_sums_of_outer_products(layer):
    """The weights at rank r are the sum of the outer products of the first r components."""
    for r in layer.ranks:
        assert (layer.weight(r) == exact.outer_products(layer.A, layer.B, 0, r)).all()


@pytest.mark.claim("LIN-1")
@both_engines
@given(layers())
def test_outputs_are_those_of_the_weights(layer):
    """The outputs at rank r, alone or among others, are those of a dense layer with the weights W_r."""
    ys = layer.engine.call("multirank_linear", *layer.arrays, ranks=list(layer.ranks))
    for r, y in zip(layer.ranks, ys, strict=True):
        dense = layer.x @ exact.outer_products(layer.A, layer.B, 0, r).T + layer.b
        assert (layer.output(r) == dense).all()
        assert (y == dense).all()


@pytest.mark.claim("LIN-2")
@both_engines
@given(layers())
def test_prefix_consistency(layer):
    """Prefix consistency: going from rank r to r + 1 adds the output of one component and changes nothing else."""
    for r in layer.ranks[:-1]:
        component = exact.outer_products(layer.A, layer.B, r, r + 1)
        assert (layer.output(r + 1) == layer.output(r) + layer.x @ component.T).all()


@pytest.mark.claim("LIN-2")
@both_engines
@given(layers(), st.data())
def test_prefix_consistency_between_any_two_ranks(layer, data):
    """In one pass, in any order and with duplicates: outputs differ by the components between their ranks."""
    ranks = data.draw(st.lists(st.sampled_from(layer.ranks), min_size=2, max_size=4))
    ys = layer.engine.call("multirank_linear", *layer.arrays, ranks=ranks)
    for r, y_r in zip(ranks, ys, strict=True):
        for s, y_s in zip(ranks, ys, strict=True):
            if r <= s:
                assert (y_s - y_r == layer.x @ exact.outer_products(layer.A, layer.B, r, s).T).all()


@pytest.mark.claim("LIN-3")
@both_engines
@given(layers())
def test_rank_is_at_most_r(layer):
    """The weights at rank r have rank at most r."""
    for r in layer.ranks:
        assert exact.rank(layer.weight(r)) <= r


@pytest.mark.claim("LIN-4")
@both_engines
@given(layers())
def test_factors_nest(layer):
    """The images of the B_r nest, and so do the row spaces of the A_r: always, whatever the factors are.

    What the layer does at rank r therefore lies in the image of every later B_s, and reads the rows of every later A_s.
    """
    A, B = layer.A, layer.B
    for r in layer.ranks:
        W_r = layer.weight(r)
        for s in layer.ranks[r - 1 :]:
            assert exact.image_in(B[:, :r], B[:, :s]) and exact.rows_in(A[:r], A[:s])
            assert exact.image_in(W_r, B[:, :s]) and exact.rows_in(W_r, A[:s])


def embedded(W, r, R):
    """A layer of R components with W_r = W, for W of rank at most r: its independent columns times what they need."""
    C = W[:, exact.pivots(W)]
    k = C.shape[1]
    A, B = exact.zeros(R, W.shape[1]), exact.zeros(len(W), R)
    A[:k], B[:, :k] = exact.inverse(C.T @ C) @ C.T @ W, C
    A[r:] = Fraction(1)  # components beyond r play no role
    B[:, r:] = Fraction(1)
    return A, B


def weight(A, B, r):
    """W_r of a layer, from the reference operation."""
    d_in, d_out = A.shape[1], len(B)
    return RATIONAL.call("nested_linear", exact.identity(d_in), A, B, exact.zeros(1, d_out)[0], rank=r).T


@pytest.mark.claim("LIN-9")
@given(layers(engines=(RATIONAL,)), st.integers(1, 3))
def test_classes_are_the_matrices_of_low_rank(layer, spare):
    """The function class at rank r, its linear maps, is that of all matrices of rank at most r; so the classes nest."""
    for r in layer.ranks:
        W = exact.outer_products(layer.A, layer.B, 0, r)  # any matrix of rank at most r, for r = 1, 2, ...
        for s in range(max(1, exact.rank(W)), r + spare):
            assert (weight(*embedded(W, s, r + spare), s) == W).all()
        assert exact.rank(weight(layer.A, layer.B, r)) <= r


@pytest.mark.claim("LIN-10")
@given(st.tuples(st.sampled_from(SIZES), st.sampled_from(SIZES)), st.data())
def test_classes_nest_strictly_below_full_rank(sizes, data):
    """The function classes nest strictly exactly while r < min(d_in, d_out)."""
    d_out, d_in = sizes
    full = min(sizes)
    for r in range(1, full):
        A, B = exact.identity(d_in)[: r + 1], exact.identity(d_out)[:, : r + 1]
        assert exact.rank(weight(A, B, r + 1)) == r + 1  # LIN-3: out of reach at rank r
    W = data.draw(matrices(RATIONAL, *sizes))
    assert exact.rank(W) <= full
    for r in (full, full + 1):
        assert (weight(*embedded(W, r, r), r) == W).all()  # nothing is left to gain: every matrix is reached
