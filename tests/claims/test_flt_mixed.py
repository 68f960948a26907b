"""FLT: several formats: narrow inputs, wide sums, one final rounding; and the golden suite's bound of a product."""

from fractions import Fraction

import numpy as np
import pytest
from claims import trees
from claims.trees import DTYPES, FORMATS, computed, dot, dot_tree, gamma, nearest, orders, pairs, size, truncated, unit
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.certify import rounding
from nsn_ref.golden import contracts, own_ports

WIDE = FORMATS["float32"]
NARROW = st.sampled_from([FORMATS["float16"], FORMATS["bfloat16"]])
MODES = st.sampled_from([(nearest, 1), (truncated, 2)])  # of the accumulator; cutting off doubles u


def stored_error(exact, e, f):
    """The error after storing a number that is within e of the exact one."""
    return e + unit(f) * (abs(exact) + e) + trees.tiny(f)


@pytest.mark.claim("FLT-4")
@given(st.data(), NARROW, MODES, orders)
def test_mixed_precision(data, f, mode, order):
    """Mixed precision: narrow inputs, products and sums in a wide format that rounds or cuts, one final rounding."""
    rounded, times = mode
    x, y = data.draw(trees.vectors(f))
    z = nearest(computed(dot_tree(pairs(x, y), order), lambda t: rounded(t, WIDE)), f)
    g = gamma(len(x), times * unit(WIDE))
    e = g * size(x, y) + (1 + g) * len(x) * times * trees.tiny(WIDE)
    assert abs(z - dot(x, y)) <= stored_error(dot(x, y), e, f)


@pytest.mark.claim("FLT-4")
@given(st.data(), NARROW, MODES, orders)
def test_exact_products_cost_nothing(data, f, mode, order):
    """Products that are exact in the wide format cost nothing: gamma_{n-1}, and no underflow."""
    rounded, times = mode
    x, y = data.draw(trees.vectors(f, ("ordinary", "graded")))
    assert all(nearest(a * b, WIDE) == a * b for a, b in zip(x, y, strict=True))
    z = nearest(computed(dot_tree(pairs(x, y), order), lambda t: rounded(t, WIDE)), f)
    e = gamma(len(x) - 1, times * unit(WIDE)) * size(x, y)
    assert abs(z - dot(x, y)) <= stored_error(dot(x, y), e, f)


@pytest.mark.claim("FLT-4")
@given(st.data(), NARROW, st.sampled_from([own_ports.reference, own_ports.engine]))
def test_mixed_precision_of_the_engines(data, f, port):
    """The engines' own products of narrow inputs, in float32 and rounded at the end."""
    x, y = data.draw(trees.vectors(f, ("ordinary", "graded")))
    dtype = DTYPES[f.name]
    inputs = {"x": trees.array(x, dtype)[None], "W": trees.array(y, dtype)[None], "b": np.zeros(1, dtype)}
    z = port.run("dense_forward", inputs, {})["y"]
    assert z.dtype == dtype
    e = gamma(len(x) - 1, unit(WIDE)) * size(x, y)
    assert abs(Fraction(float(z[0, 0])) - dot(x, y)) <= stored_error(dot(x, y), e, f)


@st.composite
def uncertain(draw, n):
    """n numbers as they are kept, with errors; and two numbers each within that error: the exact and the computed one.

    The computed one is also within the error of the exact one.
    """
    kept = draw(st.lists(st.integers(-400, 400).map(lambda m: Fraction(m, 64)), min_size=n, max_size=n))
    level = draw(st.sampled_from([Fraction(0), Fraction(1, 2**20), Fraction(1, 8)]))
    errors = [level * k for k in draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))]
    shares = st.sampled_from([Fraction(-1), Fraction(-1, 3), Fraction(0), Fraction(1, 2), Fraction(1)])
    exact = [v + draw(shares) * e for v, e in zip(kept, errors, strict=True)]
    return kept, errors, exact, [x + draw(shares) * e for x, e in zip(exact, errors, strict=True)]


def numbers(kept, errors):
    """The same as numbers that carry bounds."""
    out = np.empty(len(kept), dtype=object)
    out[:] = [rounding.Rounded(float(v), float(e)) for v, e in zip(kept, errors, strict=True)]
    return out.view(rounding.ContractArray)


@pytest.mark.claim("FLT-8")
@given(st.data(), st.sampled_from(["bfloat16", "float16", "tf32", "bfloat16_master"]), st.booleans(), orders)
def test_bound_of_a_product_of_matrices(data, name, with_bias, order):
    """One entry of X Y + b from inputs that have errors, operands that are rounded again, an accumulator and a storage
    format: the golden suite's bound.
    """
    contract = contracts.default(name)
    operand, accumulator, storage = (FORMATS[f] for f in (contract.operand, contract.accumulator, contract.storage))
    cuts = contract.truncating and order.random() < 0.5
    n = data.draw(st.integers(1, 7))
    (xv, xe, x, x_computed), (yv, ye, y, y_computed) = (data.draw(uncertain(n)) for _ in range(2))
    bv, be, b, b_computed = data.draw(uncertain(1))

    def accumulate(t):
        return (truncated if cuts else nearest)(t, accumulator)

    def multiplied(t):
        return (truncated if operand.truncates and order.random() < 0.5 else nearest)(t, operand)

    terms = pairs(*([multiplied(t) for t in values] for values in (x_computed, y_computed)))
    exact = dot(x, y)
    if not with_bias:
        z = nearest(computed(dot_tree(terms, order), accumulate), storage)
    else:
        exact, stored_bias = exact + b[0], nearest(b_computed[0], storage)
        if order.random() < 0.5:
            z = computed(dot_tree([*terms, (Fraction(1), trees.Inp(stored_bias))], order), accumulate)
        else:
            z = nearest(computed(dot_tree(terms, order), accumulate), storage) + stored_bias
        z = nearest(z, storage)
    with rounding.precision(contract):
        X, Y = numbers(xv, xe)[None], numbers(yv, ye)[:, None]
        (bound,) = rounding.product(X, Y, numbers(bv, be) if with_bias else None).flat
    assert abs(z - exact) <= Fraction(bound.error) * (1 + Fraction(1, 2**40))  # the bound is a float
    assert abs(Fraction(bound.v) - exact) <= Fraction(bound.error) * (1 + Fraction(1, 2**40))
