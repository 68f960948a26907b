"""GAU: which changes of the factors change no W_r, without rounding."""

from fractions import Fraction

import pytest
from claims import exact
from claims.strategies import DYADIC, MODERATE, RATIONAL, Layer, both_engines, full_rank_layers, layers
from hypothesis import assume, given
from hypothesis import strategies as st


def scales(engine):
    """Numbers other than zero; powers of two for the engine, which divides by them without rounding."""
    sign = st.sampled_from((1, -1))
    if engine is DYADIC:
        return st.builds(lambda s, k: s * Fraction(2) ** k, sign, st.integers(-3, 3))
    return st.builds(lambda s, p, q: s * Fraction(p, q), sign, st.integers(1, 9), st.integers(1, 9))


@st.composite
def transformations(draw, engine, R):
    """An invertible G (R, R) and its inverse: a diagonal matrix, and up to two multiples of a row added to another."""
    d = [draw(scales(engine)) for _ in range(R)]
    G, inverse = exact.matrix(R, R, lambda i, j: d[i] * (i == j)), exact.matrix(R, R, lambda i, j: (i == j) / d[i])
    for c in draw(st.sampled_from(((), (1,), (-1,), (1, -1)))) if R > 1 else ():
        i, j = draw(st.permutations(range(R)))[:2]
        G[i] += c * G[j]
        inverse[:, j] -= c * inverse[:, i]
    return G, inverse


def is_diagonal(G):
    R = len(G)
    return not any(G[i, j] for i in range(R) for j in range(R) if i != j)


def transformed(layer, G, inverse):
    return layer._replace(A=G @ layer.A, B=layer.B @ inverse)


def unchanged(layer, other, ranks):
    """Whether two layers have the same W_r at each of the ranks."""
    return all((layer.weight(r) == other.weight(r)).all() for r in ranks)


@pytest.mark.claim("GAU-1")
@both_engines
@given(layers(), st.data())
def test_scaling_changes_no_weight(layer, data):
    """Scaling a_i by d_i and b_i by 1 / d_i, for each component by its own d_i, changes no W_r."""
    d = data.draw(st.lists(scales(layer.engine), min_size=len(layer.A), max_size=len(layer.A)))
    other = layer._replace(A=layer.A.copy(), B=layer.B.copy())
    for i, scale in enumerate(d):
        other.A[i] *= scale
        other.B[:, i] /= scale
    assert unchanged(layer, other, layer.ranks)
    for r in layer.ranks:
        assert (layer.output(r) == other.output(r)).all()


@pytest.mark.claim("GAU-2")
@both_engines
@given(full_rank_layers("A", "B"), st.data())
def test_nothing_else_does(layer, data):
    """Nothing else does: an invertible transformation of the components that leaves every W_r unchanged, A and B being
    of full rank (or for every layer), is diagonal.
    """
    G, inverse = data.draw(transformations(layer.engine, len(layer.A)))
    assert unchanged(layer, transformed(layer, G, inverse), layer.ranks) == is_diagonal(G)


@pytest.mark.claim("GAU-2")
@both_engines
@given(st.sampled_from((RATIONAL, DYADIC)), st.integers(1, 5), st.data())
def test_a_transformation_that_serves_every_layer_is_diagonal(engine, R, data):
    """Layers of one input and one output, with a single a_i and a single b_j that are not zero, find out any other."""
    G, inverse = data.draw(transformations(engine, R))
    unit, zero = exact.identity(R), exact.zeros(1, 1)
    small = [Layer(engine, zero, unit[:, [i]], unit[[j]], zero[0]) for i in range(R) for j in range(R)]
    assert all(unchanged(layer, transformed(layer, G, inverse), layer.ranks) for layer in small) == is_diagonal(G)


def couples(G, r):
    """Whether G mixes a component up to r with one above."""
    return any(G[i, j] for i in range(len(G)) for j in range(len(G)) if (i < r) != (j < r))


@pytest.mark.claim("GAU-3")
@both_engines
@given(full_rank_layers("A", "B"), st.data())
def test_only_some_ranks(layer, data):
    """If only the ranks in a set S are used, the transformations that leave those W_r unchanged are exactly the
    block-diagonal ones, with the blocks between the ranks in S.
    """
    G, inverse = data.draw(transformations(layer.engine, len(layer.A)))
    used = data.draw(st.lists(st.sampled_from(layer.ranks), max_size=2))
    blocks = not any(couples(G, r) for r in used)
    assert unchanged(layer, transformed(layer, G, inverse), used) == blocks


@pytest.mark.claim("GAU-3")
@both_engines
@given(layers(variants=MODERATE), st.data())
def test_block_diagonal_transformations_serve_any_layer(layer, data):
    """They leave those W_r unchanged whatever the factors are."""
    G, inverse = data.draw(transformations(layer.engine, len(layer.A)))
    used = [r for r in layer.ranks if not couples(G, r)]  # R always
    assert unchanged(layer, transformed(layer, G, inverse), used)


@pytest.mark.claim("GAU-4")
@both_engines
@given(layers())
def test_weights_determine_the_factors(layer):
    """Where no component is zero, the W_r determine the factors up to one scale for each component.

    They are read off the W_r here: W_r - W_(r-1) is b_r a_r, whose rows are multiples of a_r.
    """
    before = 0 * layer.weight(1)
    for i, r in enumerate(layer.ranks):
        component, before = layer.weight(r) - before, layer.weight(r)
        assume(component.any())
        row, column = (axis[0] for axis in component.nonzero())
        a, b = component[row], component[:, column] / component[row, column]
        assert layer.A[i, column] != 0
        d = a[column] / layer.A[i, column]
        assert (a == d * layer.A[i]).all() and (b == layer.B[:, i] / d).all()


@pytest.mark.claim("GAU-4")
@both_engines
@given(layers(), st.data())
def test_weights_do_not_determine_a_zero_component(layer, data):
    """The hypothesis is needed: where a_i is zero, b_i may be anything."""
    i = data.draw(st.integers(0, len(layer.A) - 1))
    layer.A[i] = Fraction(0)
    other = layer._replace(B=layer.B.copy())
    other.B[:, i] *= -7
    assert unchanged(layer, other, layer.ranks)
