"""FLT: the running error analysis: what is kept bounds what any other evaluation computes."""

from fractions import Fraction

import numpy as np
import pytest
from claims import trees
from claims.balls import DIGITS, ball, balls, on_balls, steps
from claims.trees import FORMATS, nearest, orders, unit
from flint import arb
from hypothesis import assume, example, given
from hypothesis import strategies as st

from nsn_ref import ops
from nsn_ref.certify import rounding
from nsn_ref.errors import NeedMorePrecision

F = FORMATS["float32"]
U = unit(F)
FLOAT = 1 + Fraction(1, 2**40)  # the bounds are floats
shares = st.fractions(-1, 1, max_denominator=8)


@st.composite
def uncertain(draw, low=-400):
    """(number, x, x'): the number kept, v with the bound e, and numbers with |v - x| <= e and |x' - x| <= e."""
    v = Fraction(draw(st.integers(low, 400)), 64) * Fraction(2) ** draw(st.sampled_from([0, -8, 8]))
    e = abs(v) * draw(st.sampled_from([Fraction(0), Fraction(1, 2**30), Fraction(1, 64), Fraction(1, 16)]))
    x = v + draw(shares) * e
    return rounding.Rounded(float(v), float(e)), x, x + draw(shares) * e


def assert_within(number, exact, computed):
    """What is kept and what is computed both lie within the bound of the exact number; all three may be balls."""
    e = number.error * float(FLOAT)
    assert abs(arb(number.v) - exact) <= arb(e) and abs(computed - exact) <= arb(e)


@pytest.mark.claim("FLT-5")
@given(uncertain(), uncertain(low=1), orders)
@on_balls
def test_products_and_quotients(first, second, order):
    """The running error analysis: a product rounds once, a quotient twice, as the product with a reciprocal."""
    (a, x, x_computed), (b, y, y_computed) = first, second
    with rounding.precision("float32"):
        assert_within(a * b, ball(x * y), ball(nearest(x_computed * y_computed, F)))
        direct = nearest(x_computed / y_computed, F)
        by_reciprocal = nearest(x_computed * nearest(1 / y_computed, F), F)
        assert_within(a / b, ball(x / y), ball(order.choice([direct, by_reciprocal])))


@pytest.mark.claim("FLT-5")
@given(uncertain(low=1), st.integers(2, 6), shares)
@on_balls
def test_functions(drawn, exponent, share):
    """Square roots round once; exp, ln and powers may be off by as many ulps as are allowed."""
    number, x, x_computed = drawn
    assume(abs(x) < 64)
    off = ball(1 + share * rounding.ELEMENTARY_ULPS * U)
    x, x_computed = ball(x), ball(x_computed)
    with rounding.precision("float32"):
        assert_within(number.sqrt(), x.sqrt(), x_computed.sqrt() * ball(1 + share * U))
        assert_within(number.exp(), x.exp(), x_computed.exp() * off)
        assert_within(number.log(), x.log(), x_computed.log() * off)
        assert_within(number**exponent, x**exponent, x_computed**exponent * ball(1 + share * (exponent - 1) * U))


@pytest.mark.claim("FLT-5")
@given(st.data(), trees.formats, orders)
def test_open_sums(data, f, order):
    """Sums stay open until they are used: in any order a term passes through at most n - 2 partial sums before the
    last one, which rounds the result itself.
    """
    drawn = data.draw(st.lists(uncertain(), min_size=2, max_size=9))
    computed = [nearest(x_computed, f) for _, _, x_computed in drawn]
    assume(all(abs(z - x) <= Fraction(number.error) for z, (number, x, _) in zip(computed, drawn, strict=True)))
    tree = trees.dot_tree([(Fraction(1), trees.Inp(z)) for z in computed], order)  # a product with 1 does not round
    with rounding.precision(f.name):
        total = sum((number for number, _, _ in drawn[1:]), drawn[0][0])
        e = Fraction(total.error) * FLOAT
    exact = sum(x for _, x, _ in drawn)
    assert abs(trees.computed(tree, lambda t: nearest(t, f)) - exact) <= e and abs(Fraction(total.v) - exact) <= e


@pytest.mark.claim("FLT-5")
@given(st.data(), trees.formats, orders)
def test_dot_products_by_the_reference(data, f, order):
    """An operation run on such numbers bounds every order of its sums, subnormal results among them."""
    x, y = data.draw(trees.vectors(f))
    assume(all(Fraction(float(a)) == a for a in (*x, *y)))
    z = trees.computed(trees.dot_tree(trees.pairs(x, y), order), lambda t: nearest(t, f))
    with rounding.precision(f.name):
        row, column = (rounding.rounded(np.array([float(a) for a in v])) for v in (x, y))
        (bound,) = ops.dense_forward(row[None], column[None], rounding.rounded(np.zeros(1)))[0].flat
        assert abs(z - trees.dot(x, y)) <= Fraction(float(rounding.errors(bound)))


@pytest.mark.claim("FLT-9")
@given(uncertain())
def test_relu(drawn):
    """How errors of the inputs pass through ReLU: it does not enlarge one, and its derivative is decided where the
    input is further from 0 than its error.
    """
    number, x, x_computed = drawn
    z, dy = np.array([number], dtype=object), rounding.rounded(np.ones(1))
    try:
        (y,), saved = ops.relu_forward(z)
        (dz,) = ops.relu_backward(dy, saved)
    except NeedMorePrecision:
        assert min(x, x_computed) <= 2 * number.error and abs(number.v) <= 2 * number.error
        return
    e = Fraction(number.error)
    assert Fraction(y.error) <= e
    for value in (x, x_computed):
        assert abs(max(value, 0) - max(x, 0)) <= e and dz.v == (value > 0)
        assert abs(Fraction(y.v) - max(x, 0)) <= e


@pytest.mark.claim("FLT-9")
@given(st.fractions(-30, 30, max_denominator=8), steps)
@example(Fraction(12, 5), Fraction(1, 1000))  # the steepest place: 1.0998
@on_balls
def test_silu(z, step):
    """SiLU moves at most 1.13 times as far as its input."""
    (y, y_moved), _ = ops.silu_forward(balls([z, z + step]))
    assert abs(y_moved - y) < ball(Fraction(113, 100) * abs(step))


def loss_and_p(z, label):
    """Cross-entropy of one row of balls, and the softmax, read off the gradient."""
    loss, saved = ops.softmax_cross_entropy_forward(z[None], np.array([label]))
    (dz,) = ops.softmax_cross_entropy_backward(loss * 0 + 1, saved)
    return loss, [g + (j == label) for j, g in enumerate(dz)]


@pytest.mark.claim("FLT-9")
@given(st.data(), st.integers(2, 6))
@on_balls
def test_softmax_and_cross_entropy(data, classes):
    """Softmax and cross-entropy lie between their values at two corners of the box of logits: the label's logit lowest
    and all others highest, and the other way round. The loss moves at most twice as far as the logits.
    """
    label = data.draw(st.integers(0, classes - 1))
    centre = data.draw(st.lists(st.fractions(-30, 30, max_denominator=8), min_size=classes, max_size=classes))
    e = data.draw(st.lists(st.fractions(Fraction(1, 99), 2, max_denominator=99), min_size=classes, max_size=classes))
    inside = [c + data.draw(shares) * Fraction(9, 10) * r for c, r in zip(centre, e, strict=True)]

    def at(sign):
        """The label's logit moved by sign, all others against it."""
        corner = [c + (sign if j == label else -sign) * r for j, (c, r) in enumerate(zip(centre, e, strict=True))]
        loss, p = loss_and_p(np.array([ball(z) for z in corner]), label)
        return loss, p[label]

    (high, low_p), (low, high_p) = at(-1), at(1)
    loss, p = loss_and_p(np.array([ball(z) for z in inside]), label)
    assert low < loss < high and low_p < p[label] < high_p
    farthest = max(abs(z - c) for z, c in zip(inside, centre, strict=True))
    assert abs(loss - loss_and_p(balls(centre), label)[0]) <= ball(2 * farthest) + DIGITS
