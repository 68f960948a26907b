"""FLT: where no order of summation rounds, and numbers that know it: the exact lane of the golden suite."""

from fractions import Fraction

import numpy as np
import pytest
from claims import trees
from claims.trees import DTYPES, FORMATS, computed, dot, dot_tree, nearest, orders, pairs, size, truncated, upwards
from helpers import fractions
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref import kernels, ops
from nsn_ref.certify import exactness
from nsn_ref.errors import NeedMorePrecision
from nsn_ref.golden import contracts
from nsn_ref.golden.fuzz.machine import Machine

FLOATS = st.sampled_from([FORMATS["float64"], FORMATS["float32"]])
ENGINES = st.sampled_from([ops, kernels])


@st.composite
def certified_dots(draw, f):
    """Vectors whose products are multiples of 2^q, with absolute values that add up to at most 2^(bits + q)."""
    n = draw(st.integers(1, 12))
    x = draw(st.lists(st.integers(-9, 9), min_size=n, max_size=n))
    room = max(1, (2**f.bits - 1) // max(1, sum(map(abs, x))))
    top = min(room, 2**f.bits - 1)
    y = draw(st.lists(st.one_of(st.integers(-top, top), st.sampled_from([top, -top])), min_size=n, max_size=n))
    x_unit, y_unit = (Fraction(2) ** draw(st.integers(-5, 5)) for _ in range(2))
    return [a * x_unit for a in x], [b * y_unit for b in y]


@pytest.mark.claim("FLT-3")
@given(st.data(), trees.formats, orders, st.sampled_from([nearest, truncated, upwards]))
def test_every_order_is_exact(data, f, order, rounded):
    """If every term is a multiple of 2^q and the absolute values add up to at most 2^(p + q), every order of summation
    gives the exact sum, in any rounding mode.
    """
    x, y = data.draw(certified_dots(f))
    assert computed(dot_tree(pairs(x, y), order), lambda z: rounded(z, f)) == dot(x, y)


def lowest_bit(x):
    """The exponent of the last bit of a number that is not zero."""
    numerator, denominator = x.as_integer_ratio()
    return (numerator & -numerator).bit_length() - denominator.bit_length()


@pytest.mark.claim("FLT-3")
@given(st.data(), FLOATS)
def test_the_condition_is_what_the_numbers_check(data, f):
    """The numbers of the exact lane refuse a sum exactly where the condition fails."""
    terms = [t for t in data.draw(st.lists(trees.numbers(f, "graded"), min_size=1, max_size=6)) if t]
    if data.draw(st.booleans()):  # at the edge of the condition
        terms = [Fraction(2) ** (f.bits - 1), data.draw(st.integers(1, 3)) * Fraction(2) ** (f.bits - 2), Fraction(1)]
    sums = sum(map(abs, terms), Fraction(0))
    holds = not terms or sums <= Fraction(2) ** (f.bits + min(map(lowest_bit, terms)))
    numbers = exactness.exact([*map(float, terms), 0.0], f.name)
    if holds:
        assert Fraction(float(numbers.sum())) == sum(terms)
    else:
        assert refused(numbers.sum)


def refused(function, *args):
    try:
        function(*args)
    except NeedMorePrecision:
        return True
    return False


def outputs(engine, arrays, rank, dy):
    """Output and gradients of a nested layer, and of its one pass at the ranks rank and 1."""
    y, saved = engine.nested_linear_forward(*arrays, rank)
    ys, multi = engine.multirank_linear_forward(*arrays, [rank, 1])
    one_pass = engine.multirank_linear_backward(np.stack([dy, 0 * dy]), multi)
    return [y, *engine.nested_linear_backward(dy, saved), ys, *one_pass]


@pytest.mark.claim("FLT-3")
@given(FLOATS, ENGINES, st.integers(0, 2**32 - 1), st.data())
def test_layers_whose_numbers_pass_are_exact_in_every_engine(f, engine, seed, data):
    """Nested layers and batch sums too: the same bits, however components and rows are ordered."""
    rng = np.random.default_rng(seed)
    n, d_in, d_out, R = (data.draw(st.integers(1, 7)) for _ in range(4))
    shapes = (n, d_in), (R, d_in), (d_out, R), (d_out,)
    scales = 2.0 ** rng.integers(-9, 10, 4)
    *arrays, b = (rng.integers(-9, 10, shape) * s for shape, s in zip(shapes, scales, strict=True))
    dy = rng.integers(-9, 10, (n, d_out)) * 2.0
    b = b * scales[0] * scales[1] * scales[2] / scales[3]  # of the size of the terms that it is added to
    numbers = [exactness.exact(a, f.name) for a in (*arrays, b, dy)]
    sure = outputs(ops, numbers[:4], R, numbers[4])
    rational = outputs(ops, [fractions(a) for a in (*arrays, b)], R, fractions(dy))
    floats = [a.astype(DTYPES[f.name]) for a in (*arrays, b, dy)]
    order, rows = rng.permutation(R), rng.permutation(n)
    x, A, B, bias, dy = floats
    again, _, _, _, db, *_ = outputs(engine, [x[rows], A[order], B[:, order], bias], R, dy[rows])
    found = outputs(engine, floats[:4], R, dy)
    for value, number, fraction in zip(found, sure, rational, strict=True):
        assert (fractions(value) == fraction).all()
        assert [float(e) for e in number.flat] == [float(e) for e in fraction.flat]
    assert (again == found[0][rows]).all() and (db == found[4]).all()


@pytest.mark.claim("FLT-3")
@given(st.data(), st.sampled_from(["float32", "tf32", "bfloat16", "float16"]), st.integers(0, 2**32 - 1))
def test_every_machine_of_the_fuzz_is_exact(data, name, seed):
    """In any arithmetic that a contract allows, aligned and truncated blocks too, before the result is stored."""
    contract = contracts.default(name)
    rng = np.random.default_rng(seed)
    n = data.draw(st.integers(1, 12))
    x, y = (rng.integers(-9, 10, n) * 2.0**e for e in rng.integers(-3, 4, 2))
    machine = Machine(contract, 16, rng)
    one = np.ones((16, 1, 1))
    z = machine.matmul(one * x, one * y[:, None])
    expected = dot(map(Fraction, x), map(Fraction, y))
    stored = nearest(expected, FORMATS[contract.storage])
    assert size(map(Fraction, x), map(Fraction, y)) < 2**24
    assert all(Fraction(float(value)) == stored for value in z.flat)
