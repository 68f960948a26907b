"""rotary against rotations of the plane, one pair at a time, its invariances, and the complex step."""

from fractions import Fraction

import flint
import numpy as np
import pytest
from helpers import (
    adversarial,
    assert_certified,
    assert_gradient,
    assert_number_type,
    constants,
    distinct_primes,
    fractions,
    normal,
    random_fractions,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.certify.balls import certified, to_balls
from nsn_ref.certify.rounding import errors, rounded
from nsn_ref.errors import DTypeError, NonFiniteError, NumberSystemError, OptionError, ShapeError
from nsn_ref.ops.rotary import rotary_backward, rotary_forward, rotary_tables


def bind(cos, sin):
    return lambda x: rotary_forward(x, constants(cos, x), constants(sin, x))


def by_pairs(x, cos, sin):
    """One coordinate at a time; the tables have all leading axes."""
    y = x.copy()
    P = cos.shape[-1]
    for i, t, h, pair in np.ndindex(*x.shape[:3], P):
        c, s = cos[i, t, pair], sin[i, t, pair]
        y[i, t, h, pair] = c * x[i, t, h, pair] - s * x[i, t, h, pair + P]
        y[i, t, h, pair + P] = s * x[i, t, h, pair] + c * x[i, t, h, pair + P]
    return y


def tables(rng, n, T, P, own):
    """Tables of random angles, with their own for each sequence or shared."""
    angle = rng.uniform(-4, 4, (n, T, P) if own else (T, P))
    return np.cos(angle), np.sin(angle)


def rotated(D):
    """Whole heads, a part of them, nothing."""
    return st.sampled_from(sorted({0, 1, D // 2} & set(range(D // 2 + 1))))


@given(distinct_primes(4), seeds, st.booleans(), st.data())
def test_forward_and_backward_by_pairs_exactly(sizes, seed, own, data):
    n, T, H, D = sizes
    P, rng = data.draw(rotated(D)), np.random.default_rng(seed)
    x, *table = (random_fractions(rng, *shape) for shape in [(n, T, H, D), *2 * [(n, T, P) if own else (T, P)]])
    cos, sin = (np.broadcast_to(a, (n, T, P)) for a in table)
    y, saved = rotary_forward(x, *table)
    assert (y == by_pairs(x, cos, sin)).all()
    dy = random_fractions(rng, *y.shape)
    dx = rotary_backward(dy, saved)
    assert (dx == by_pairs(dy, cos, -sin)).all()
    assert (dy * y).sum() == (dx * x).sum()  # the adjoint: any tables, not only cosines
    assert_number_type(Fraction, y, dx)


@given(distinct_primes(4), seeds, st.booleans(), st.data())
def test_backward_agrees_with_the_complex_step(sizes, seed, own, data):
    n, T, H, D = sizes
    rng = np.random.default_rng(seed)
    forward = bind(*tables(rng, n, T, data.draw(rotated(D)), own))
    assert_gradient(forward, rotary_backward, normal(rng, (n, T, H, D)), rng)


def test_adversarial_values(rng):
    forward = bind(*tables(rng, 2, 5, 3, own=True))
    for x in adversarial(rng, rng.standard_normal((2, 5, 3, 7))):
        assert_gradient(forward, rotary_backward, [x], rng)


def test_floats_lie_within_their_bounds_of_the_certified_values(rng):
    cos, sin = (table.astype(np.float32) for table in tables(rng, 2, 3, 2, own=False))
    assert_certified(bind(cos, sin), rotary_backward, normal(rng, (2, 3, 2, 5)), rng)


def test_the_product_of_query_and_key_depends_on_the_difference_of_positions(rng):
    q, k = normal(rng, (1, 1, 1, 8), (1, 1, 1, 8))
    at = lambda x, t: rotary_forward(x, *rotary_tables(np.array([t]), 4, 10000.0, x))[0]  # noqa: E731
    for shift in (1, 100):
        assert np.allclose((at(q, 7) * at(k, 3)).sum(), (at(q, 7 + shift) * at(k, 3 + shift)).sum(), rtol=1e-12)
    assert abs((at(q, 7) * at(k, 3)).sum() - (at(q, 8) * at(k, 3)).sum()) > 1e-3


@given(distinct_primes(3), seeds)
def test_rotating_keeps_lengths_and_position_zero(sizes, seed):
    T, H, D = sizes
    (x,) = normal(np.random.default_rng(seed), (1, T, H, D))
    y, _ = rotary_forward(x, *rotary_tables(np.arange(T), max(D // 2, 1), 100.0, x))
    assert np.allclose((x * x).sum(axis=-1), (y * y).sum(axis=-1), rtol=1e-13)
    assert np.array_equal(y[:, 0], x[:, 0])


@pytest.mark.parametrize("base", [10000.0, 500000.0, 1.5])
def test_tables_by_balls(base):
    positions, pairs = np.array([[0, 1, 2], [1000, 4095, 131071]]), 7

    def by_definition(one):
        angle = [
            [[int(t) / flint.arb(base) ** (i * one / pairs) for i in range(pairs)] for t in row] for row in positions
        ]
        return {"cos": np.vectorize(lambda a: a.cos())(angle), "sin": np.vectorize(lambda a: a.sin())(angle)}

    truth = certified(lambda one: by_definition(one[0]), np.ones(1))
    cos, sin = rotary_tables(positions, pairs, base, np.ones(1))
    bounds = [errors(table) for table in rotary_tables(positions, pairs, base, rounded(np.ones(1)))]
    balls = certified(
        lambda like: dict(zip(("cos", "sin"), rotary_tables(positions, pairs, base, like), strict=True)), np.ones(1)
    )
    for name, table, bound in zip(("cos", "sin"), (cos, sin), bounds, strict=True):
        assert np.array_equal(balls[name], truth[name])
        assert (np.abs(table - truth[name]) <= bound + 2.0**-53).all()
        assert (bound <= 100 * 2.0**-53 * (1 + positions[..., None])).all()  # not vacuous


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.complex128])
def test_tables_are_rounded_once_to_the_type_of_their_neighbour(kind):
    wide, narrow = (rotary_tables(np.arange(5000), 3, 10000.0, np.ones(1, k)) for k in (np.float64, kind))
    for table, exact in zip(narrow, wide, strict=True):
        assert np.array_equal(table, exact.astype(kind))
        assert_number_type(kind, table)


def test_bad_input_is_named(rng):
    (x,) = normal(rng, (2, 3, 5, 7))
    cos, sin = tables(rng, 2, 3, 3, own=False)
    with pytest.raises(ShapeError, match="cos has 4 columns, expected P with 2 P <= D = 7, the width of a head"):
        rotary_forward(x, *normal(rng, (3, 4), (3, 4)))
    with pytest.raises(ShapeError, match=r"sin has shape \(3, 2\), expected \(T, P\) = \(3, 3\)"):
        rotary_forward(x, cos, sin[:, :2])
    with pytest.raises(ShapeError, match=r"cos has shape \(2, 4, 3\), expected \(n, T, P\) = \(2, 3, P\)"):
        rotary_forward(x, *normal(rng, (2, 4, 3), (2, 4, 3)))
    with pytest.raises(ShapeError, match=r"x has shape \(3, 5, 7\), expected \(n, T, H, D\)"):
        rotary_forward(x[0], cos, sin)
    with pytest.raises(NonFiniteError, match="rotary_forward: sin has NaN or infinity"):
        rotary_forward(x, cos, sin * np.nan)
    with pytest.raises(DTypeError, match="cos is a list"):
        rotary_forward(x, cos.tolist(), sin)
    _, saved = rotary_forward(x, cos, sin)
    with pytest.raises(ShapeError, match=r"rotary_backward: dy has shape \(2, 3, 7, 5\), expected \(2, 3, 5, 7\)"):
        rotary_backward(x.swapaxes(2, 3), saved)


def test_bad_tables_are_named():
    like = np.ones(1)
    with pytest.raises(OptionError, match="rotary_tables: pairs is 0, expected an integer of at least 1"):
        rotary_tables(np.arange(3), 0, 10000.0, like)
    with pytest.raises(OptionError, match=r"rotary_tables: base is 0, expected a number in \(0, inf\)"):
        rotary_tables(np.arange(3), 2, 0, like)
    with pytest.raises(DTypeError, match="rotary_tables: positions has dtype float64, expected an ndarray of integers"):
        rotary_tables(np.arange(3.0), 2, 10000.0, like)
    with pytest.raises(NumberSystemError, match=r"log: .* does not exist over Fractions"):
        rotary_tables(np.arange(3), 2, 10000.0, fractions(like))
    assert_number_type(flint.arb, *rotary_tables(np.arange(3), 2, 10000.0, to_balls(like)))
