"""FLT: rounding errors of dot products and nested layers, in emulated orders and in the engines."""

from fractions import Fraction

import numpy as np
import pytest
from claims import trees
from claims.trees import DTYPES, FORMATS, computed, dot, dot_tree, formats, gamma, nearest, orders, pairs, size, unit
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref import kernels, ops

ENGINES = st.sampled_from([ops, kernels])
FLOATS = st.sampled_from([FORMATS["float64"], FORMATS["float32"]])


def rounding_to(f):
    return lambda x: nearest(x, f)


def dot_bound(x, y, f):
    """gamma_n abs(x) . abs(y), and at most one underflow in each product."""
    g = gamma(len(x), unit(f))
    return g * size(x, y) + (1 + g) * len(x) * trees.tiny(f)


@pytest.mark.claim("FLT-1")
@given(st.data(), formats, orders)
def test_dot_product_in_any_order(data, f, order):
    """The rounding error of a dot product, summed in any order, with or without fused multiply-add."""
    x, y = data.draw(trees.vectors(f))
    tree = dot_tree(pairs(x, y), order)
    z = computed(tree, rounding_to(f))
    assert abs(z - dot(x, y)) <= trees.forward_bound(tree, f) <= dot_bound(x, y, f)


@pytest.mark.claim("FLT-1")
@given(st.data(), formats, orders)
def test_two_orders(data, f, order):
    """Two orders differ by at most twice that."""
    x, y = data.draw(trees.vectors(f))
    one, other = (computed(dot_tree(pairs(x, y), order), rounding_to(f)) for _ in range(2))
    assert abs(one - other) <= 2 * dot_bound(x, y, f)


@pytest.mark.claim("FLT-1")
@given(st.data(), FLOATS, ENGINES)
def test_dot_product_of_the_engines(data, f, engine):
    """The engines' own dot products, in whatever order their BLAS takes."""
    x, y = data.draw(trees.vectors(f, largest=40))
    dtype = DTYPES[f.name]
    z, _ = engine.dense_forward(trees.array(x, dtype)[None], trees.array(y, dtype)[None], np.zeros(1, dtype))
    assert z.dtype == dtype and abs(Fraction(float(z[0, 0])) - dot(x, y)) <= dot_bound(x, y, f)


@st.composite
def layers(draw, f, spreads=("ordinary",)):
    """x (d_in,), A (r, d_in) and one row of B (r,), lists of numbers of a format."""
    d_in, r = draw(st.integers(1, 7)), draw(st.integers(1, 5))
    numbers = trees.numbers(f, draw(st.sampled_from(spreads)))

    def vector(n):
        return draw(st.lists(numbers, min_size=n, max_size=n))

    return vector(d_in), [vector(d_in) for _ in range(r)], vector(r)


def layer_and_size(x, A, b):
    """The exact output of the layer, and abs(B_r) abs(A_r) abs(x)."""
    return dot(b, [dot(a, x) for a in A]), size(b, [size(a, x) for a in A])


@pytest.mark.claim("FLT-2")
@given(st.data(), formats, orders)
def test_nested_layer_in_any_order(data, f, order):
    """The same for the two stages of a nested layer, h = A_r x and y = B_r h, each in an order of its own."""
    x, A, b = data.draw(layers(f))
    tree = dot_tree([(b_k, dot_tree(pairs(a, x), order)) for b_k, a in zip(b, A, strict=True)], order)
    exact, magnitude = layer_and_size(x, A, b)
    assert abs(computed(tree, rounding_to(f)) - exact) <= gamma(len(x) + len(A), unit(f)) * magnitude


@pytest.mark.claim("FLT-2")
@given(st.data(), formats, orders)
def test_nested_layer_with_underflow(data, f, order):
    """And where numbers underflow, with a term for each underflow, carried on by what multiplies it."""
    x, A, b = data.draw(layers(f, ("graded", "subnormal")))
    tree = dot_tree([(b_k, dot_tree(pairs(a, x), order)) for b_k, a in zip(b, A, strict=True)], order)
    exact, _ = layer_and_size(x, A, b)
    assert abs(computed(tree, rounding_to(f)) - exact) <= trees.forward_bound(tree, f)


@pytest.mark.claim("FLT-2")
@given(st.data(), FLOATS, ENGINES)
def test_nested_layer_of_the_engines(data, f, engine):
    """The engines' own layers, at one rank and in one pass at every rank: a block of components more at each."""
    x, A, b = data.draw(layers(f))
    dtype, ranks = DTYPES[f.name], [*range(1, len(A) + 1)]
    arrays = trees.array(x, dtype)[None], np.stack([trees.array(a, dtype) for a in A]), trees.array(b, dtype)[None]
    one_pass, _ = engine.multirank_linear_forward(*arrays, np.zeros(1, dtype), ranks)
    for r in ranks:
        exact, magnitude = layer_and_size(x, A[:r], b[:r])
        alone, _ = engine.nested_linear_forward(*arrays, np.zeros(1, dtype), r)
        for y in (alone, one_pass[r - 1]):
            assert abs(Fraction(float(y[0, 0])) - exact) <= gamma(len(x) + r, unit(f)) * magnitude


@pytest.mark.claim("FLT-6")
@given(st.data(), formats, orders)
def test_magnitude(data, f, order):
    """A bound on the magnitude tells where no operation overflows."""
    x, y = data.draw(trees.vectors(f))
    tree = dot_tree(pairs(x, y), order)
    bound = (1 + unit(f)) ** trees.depth(tree) * (trees.magnitude(tree) + trees.tiny(f) * trees.underflows(tree))
    assert abs(computed(tree, rounding_to(f))) <= bound


def in_hardware(tree, dtype):
    """The value of a tree without fused multiply-adds, in the arithmetic of a dtype."""
    match tree:
        case trees.Inp(x):
            return dtype(float(x))
        case trees.Mul(c, a):
            return dtype(float(c)) * in_hardware(a, dtype)
        case trees.Add(a, b):
            return in_hardware(a, dtype) + in_hardware(b, dtype)
        case trees.Fma(c, a, b):
            return dtype(float(c)) * in_hardware(a, dtype) + in_hardware(b, dtype)


def unfused(tree):
    """The same tree, its multiply-adds apart."""
    match tree:
        case trees.Fma(c, a, b):
            return trees.Add(trees.Mul(c, unfused(a)), unfused(b))
        case trees.Add(a, b):
            return trees.Add(unfused(a), unfused(b))
        case trees.Mul(c, a):
            return trees.Mul(c, unfused(a))
    return tree


@pytest.mark.claim("FLT-6")
@given(st.data(), formats, orders)
def test_the_model_is_ieee_arithmetic(data, f, order):
    """The bounds hold for IEEE 754 arithmetic, subnormal numbers included: the model gives the hardware's numbers."""
    x, y = data.draw(trees.vectors(f))
    tree = unfused(dot_tree(pairs(x, y), order))
    with np.errstate(under="ignore"):
        assert Fraction(float(in_hardware(tree, DTYPES[f.name]))) == computed(tree, rounding_to(f))


@pytest.mark.claim("FLT-7")
@given(st.data(), FLOATS, ENGINES)
def test_prefix_consistency_to_the_bit(data, f, engine):
    """The sequential loop at rank r + 1 is the loop at rank r and one more step: the same bits. Run at every rank, one
    pass is that loop.
    """
    dtype = DTYPES[f.name]
    x, A, b = data.draw(layers(f, ("ordinary", "graded")))
    bias = data.draw(trees.numbers(f, "ordinary"))
    arrays = trees.array(x, dtype)[None], np.stack([trees.array(a, dtype) for a in A]), trees.array(b, dtype)[None]
    ys, saved = engine.multirank_linear_forward(*arrays, trees.array([bias], dtype), [*range(1, len(A) + 1)])
    y = bias
    for k, b_k in enumerate(b):
        y = nearest(y + nearest(b_k * Fraction(float(saved.h[0, k])), f), f)
        assert Fraction(float(ys[k, 0, 0])) == y
