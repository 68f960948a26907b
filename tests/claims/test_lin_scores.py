"""LIN: the scores that measure whether one image lies in another, on exact layers with known answers.

The scores are float-only. They come from a singular value decomposition, which finds the image of W to within an angle
of c u s_1 / s_k, with s_k the smallest singular value that is not zero: a backward stable algorithm errs by c u s_1,
c a modest multiple of the dimensions, here 16 (d_in + d_out).
"""

import itertools

import numpy as np
import pytest
from claims import exact
from claims.strategies import DYADIC, floats, layers
from hypothesis import given

from nsn_ref.analysis import containment

U = 2.0**-53


def angle(W):
    """How far the image of a float matrix can turn: c u s_1 / s_k; the exact rank says which s_k is the last."""
    s = np.linalg.svd(floats(W), compute_uv=False)
    k = exact.rank(W)
    return 16 * sum(W.shape) * U * (s[0] / s[k - 1] if k else 1.0)


def pairs(layer):
    """A, B in float64, and each pair of ranks that has its weights decided: W_r, W_s, and the angle of both images."""
    A, B = floats(layer.A), floats(layer.B)
    weights = {r: exact.outer_products(layer.A, layer.B, 0, r) for r in layer.ranks}
    for r, s in itertools.product(layer.ranks, repeat=2):
        turned = angle(weights[r]) + angle(weights[s])
        if turned < 1e-3:  # else float64 cannot tell the rank
            yield A, B, r, s, weights[r], weights[s], turned


@pytest.mark.claim("LIN-11")
@given(layers(engines=(DYADIC,)))
def test_the_papers_score_of_a_contained_image_of_full_rank(layer):
    """The paper's containment score is 1 where the image of W_r lies in that of W_s and W_r has rank r."""
    smaller_side = min(layer.A.shape[1], len(layer.B))
    for A, B, r, s, W_r, W_s, turned in pairs(layer):
        if max(r, s) <= smaller_side and exact.rank(W_r) == r and exact.image_in(W_r, W_s):
            assert abs(containment.singular_vector_score(A, B, r, s) - 1) <= turned


@pytest.mark.claim("LIN-12")
def test_the_papers_score_misleads():
    """That the paper's containment score tells whether an image is contained is false where a W_r has lower rank than
    r: it can be 1 where the image is not contained, ...

    W_2 of the counterexample to Definition 2 has rank 1, and its second singular vector fills the plane.
    """
    A, B = np.array([[1.0, 0.0], [1.0, 0.0]]), np.eye(2)
    assert abs(containment.singular_vector_score(A, B, 1, 2) - 1) <= 16 * 4 * U
    assert abs(containment.containment(A, B, 1, 2) - 1 / 2) <= 16 * 4 * U


@pytest.mark.claim("LIN-12")
def test_the_papers_score_of_a_contained_image_depends_on_its_coordinates():
    """... and 1/2 where it is.

    The image of W_2 has dimension 1 and lies in that of W_3. Its second singular vector is arbitrary: in some orders of
    the output coordinates the decomposition happens to choose it inside the image of W_3, in others outside.
    """
    A, B = np.zeros((3, 3)), np.zeros((4, 3))
    A[0, 0] = B[0, 0] = A[2, 1] = B[2, 2] = 1.0
    orders = list(itertools.product(itertools.permutations(range(3)), itertools.permutations(range(4))))
    layers = [(A[:, list(columns)], B[list(rows)]) for columns, rows in orders]
    assert all(abs(containment.containment(*layer, 2, 3) - 1) <= 16 * 7 * U for layer in layers)
    assert abs(min(containment.singular_vector_score(*layer, 2, 3) for layer in layers) - 1 / 2) <= 16 * 7 * U


@pytest.mark.claim("LIN-13")
@given(layers(engines=(DYADIC,)))
def test_the_projector_form(layer):
    """The projector form of the score lies between 0 and 1, and is 1 exactly where the image is contained.

    So it does over the rationals, with projectors that are exact, and the function returns that number.
    """
    for A, B, r, s, W_r, W_s, turned in pairs(layer):
        found = containment.containment(A, B, r, s)
        k = exact.rank(W_r)
        score = exact.inner(exact.projector(W_r), exact.projector(W_s)) / k if k else 1
        assert 0 <= score <= 1
        assert (score == 1) == exact.image_in(W_r, W_s)
        assert abs(found - float(score)) <= 2 * turned
