"""LIN: when the image of W_r lies in that of W_{r+1}. Definition 2 of the paper says always; it is decided here."""

from fractions import Fraction

import numpy as np
import pytest
from claims import exact
from claims.strategies import DYADIC, RATIONAL, SIZES, Layer, both_engines, full_rank_layers, layers
from hypothesis import example, given
from hypothesis import strategies as st


def layer_of(engine, A, B):
    """A layer of integers."""
    A, B = (np.vectorize(Fraction, otypes=[object])(np.asarray(M, dtype=object)) for M in (A, B))
    return Layer(engine, exact.identity(A.shape[1]), A, B, exact.zeros(1, len(B))[0])


@pytest.mark.claim("LIN-5")
@both_engines
@given(st.sampled_from((RATIONAL, DYADIC)))
def test_definition_2_is_false(engine):
    """Definition 2, that the image of W_r lies in that of W_{r+1} for every r, is false as stated.

    The smallest counterexample, drawn in the paper's own terms: a_2 = a_1, and b_1, b_2 independent.
    """
    layer = layer_of(engine, [[1, 0], [1, 0]], [[1, 0], [0, 1]])
    assert layer.weight(1).tolist() == [[1, 0], [0, 0]]
    assert layer.weight(2).tolist() == [[1, 0], [1, 0]]
    assert not exact.image_in(layer.weight(1), layer.weight(2))


@pytest.mark.claim("LIN-5")
@both_engines
@given(st.sampled_from((RATIONAL, DYADIC)), st.sampled_from(SIZES), st.integers(1, 6), st.integers(1, 3))
def test_definition_2_is_false_at_every_size(engine, d_in, r, more):
    """It is false at every 0 < r < R of every layer with d_out > r: equal a_i, independent b_i."""
    R, d_out = r + more, r + 1
    A, B = np.ones((R, d_in), dtype=int), np.eye(d_out, R, dtype=int)
    layer = layer_of(engine, A, B)
    assert not exact.image_in(layer.weight(r), layer.weight(r + 1))


@pytest.mark.claim("LIN-5")
@both_engines
@given(full_rank_layers("B"))
def test_definition_2_is_false_beyond_the_input_width(layer):
    """Once the rows of A_r span the input space, every further non-zero row breaks the inclusion."""
    d_in = layer.A.shape[1]
    for r in layer.ranks[:-1]:
        if exact.rank(layer.A[:r]) == d_in and any(layer.A[r]):
            assert not exact.image_in(layer.weight(r), layer.weight(r + 1))


def next_row_is_zero_or_free(layer, r):
    """The condition of LIN-6 on a_{r+1}."""
    return not any(layer.A[r]) or exact.rank(layer.A[: r + 1]) > exact.rank(layer.A[:r])


def is_added_within(W, b, a):
    """The condition of LIN-6 on W_r and the next component."""
    if not any(a) or not any(b) or exact.rank(np.vstack([W, a])) > exact.rank(W):
        return True
    *solutions, scales = exact.kernel(np.hstack([W, -b[:, None]]))  # W v = b, where the scale of b is not 0
    v = [np.array(solutions)[:, j] / scales[j] for j in np.flatnonzero(scales)]
    return bool(v) and a @ v[0] != -1


@pytest.mark.claim("LIN-6")
@both_engines
@given(layers())
@example(layer_of(RATIONAL, [[1, 0], [-1, 0]], [[1, 1], [0, 0]]))  # a_2 v = -1: W_2 is 0
def test_when_images_nest_whatever_the_factors_are(layer):
    """The exact condition under which the image of W_r lies in that of W_{r+1}: the next component is zero, or a_{r+1}
    is outside the row space of W_r, or b_{r+1} = W_r v with a_{r+1} v other than -1.
    """
    for r in layer.ranks[:-1]:
        W = layer.weight(r)
        nests = exact.image_in(W, layer.weight(r + 1))
        assert nests == is_added_within(W, layer.B[:, r], layer.A[r])


@pytest.mark.claim("LIN-6")
@both_engines
@given(full_rank_layers("B"))
def test_when_images_nest_under_full_column_rank(layer):
    """If B_{r+1} has full column rank: exactly if a_{r+1} is zero or outside the span of the rows before it ..."""
    for r in layer.ranks[:-1]:
        assert exact.image_in(layer.weight(r), layer.weight(r + 1)) == next_row_is_zero_or_free(layer, r)


@pytest.mark.claim("LIN-6")
@both_engines
@given(layers())
def test_the_condition_suffices_for_any_b(layer):
    """... without that rank the condition still suffices."""
    for r in layer.ranks[:-1]:
        if next_row_is_zero_or_free(layer, r):
            assert exact.image_in(layer.weight(r), layer.weight(r + 1))


@pytest.mark.claim("LIN-6")
def test_the_condition_is_not_necessary_for_every_b():
    """With b_2 = b_1 the images nest though a_2 = a_1: the hypothesis on B is needed."""
    layer = layer_of(RATIONAL, [[1, 0], [1, 0]], [[1, 1], [0, 0]])
    assert not next_row_is_zero_or_free(layer, 1)
    assert exact.image_in(layer.weight(1), layer.weight(2))


@pytest.mark.claim("LIN-7")
@both_engines
@given(full_rank_layers("A"))
def test_images_nest_under_full_row_rank(layer):
    """Definition 2 holds where A_{r+1} has full row rank: then W_r and B_r have the same image."""
    for r in layer.ranks:
        W_r, B_r = layer.weight(r), layer.B[:, :r]
        assert exact.image_in(W_r, B_r) and exact.image_in(B_r, W_r)
        for s in layer.ranks[r:]:
            assert exact.image_in(W_r, layer.weight(s))


@pytest.mark.claim("LIN-8")
@both_engines
@given(full_rank_layers("B"))
def test_row_spaces_nest_under_full_column_rank(layer):
    """The dual: where B_{r+1} has full column rank the row spaces of the W_r nest, and their kernels nest the other
    way.
    """
    for r in layer.ranks:
        W_r, A_r = layer.weight(r), layer.A[:r]
        assert exact.rows_in(W_r, A_r) and exact.rows_in(A_r, W_r)
        for s in layer.ranks[r:]:
            W_s = layer.weight(s)
            assert exact.rows_in(W_r, W_s) and exact.kernel_in(W_s, W_r)
