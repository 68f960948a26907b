"""Every function over every number system: the type is kept, the value is right, the undecided is refused."""

import math
from fractions import Fraction

import flint
import numpy as np
import pytest
from helpers import assert_number_type, fractions

from nsn_ref import scalars
from nsn_ref.certify.balls import to_balls, working_precision
from nsn_ref.certify.complex_step import STEP
from nsn_ref.certify.rounding import Rounded, errors, rounded, values
from nsn_ref.errors import NeedMorePrecision, NumberSystemError

SYSTEMS = {
    np.float32: lambda x: np.asarray(x, np.float32),
    np.float64: lambda x: np.asarray(x, np.float64),
    np.complex128: lambda x: np.asarray(x, np.complex128),
    Fraction: fractions,
    flint.arb: to_balls,
    Rounded: rounded,
}
TRANSCENDENTAL = ("exp", "expm1", "log", "log1p", "logistic", "sqrt", "rsqrt", "tanh", "erf", "erfc", "cos", "sin")
POSITIVE = ("log", "sqrt", "rsqrt")
ABSOLUTE = ("logistic", "erfc", "cos", "sin")  # accurate relative to 1: see certify.rounding
POINTS = np.array([[-30.0, -6.5, -1.0, -1e-9], [1e-30, 0.25, 1.0, 40.0]])


def points(name):
    x = np.abs(POINTS) if name in POSITIVE else POINTS
    return np.maximum(x, -0.875) if name == "log1p" else x


def by_balls(name, x):
    """The function of a real or complex ball, by flint alone."""
    if name == "logistic":
        return 1 / (1 + (-x).exp())
    if name == "expm1" and isinstance(x, flint.acb):
        return x.exp() - 1
    return getattr(x, name)()


systems = pytest.mark.parametrize("kind", SYSTEMS, ids=lambda kind: kind.__name__)
functions = pytest.mark.parametrize("name", TRANSCENDENTAL)


@functions
@systems
def test_functions_keep_the_number_type_and_the_shape(name, kind):
    x = SYSTEMS[kind](points(name))
    function = getattr(scalars, name)
    if kind is Fraction:
        for argument in (x, x[0], x[0, 0]):
            with pytest.raises(NumberSystemError, match=rf"{name}: not a rational function"):
                function(argument)
        return
    for argument in (x, x[0], x[0, :0], x[:1, :1].reshape(())):
        y = function(argument)
        assert isinstance(y, np.ndarray) or (isinstance(y, np.generic) and argument.ndim == 0)
        assert y.shape == argument.shape
        if argument.size:
            assert_number_type(kind, y)
    assert type(function(x[0, 0])) is kind


@functions
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_functions_of_floats_are_accurate(name, kind):
    x = points(name).astype(kind)
    y = getattr(scalars, name)(x)
    u = np.finfo(kind).eps / 2
    with working_precision(300):
        for index in np.ndindex(*x.shape):
            truth = by_balls(name, flint.arb(float(x[index])))
            scale = max(abs(float(truth)), 1.0 if name in ABSOLUTE else 0.0)
            assert abs(flint.arb(float(y[index])) - truth) <= 8 * u * scale + float(np.finfo(kind).tiny), x[index]


@functions
def test_functions_of_complex_numbers_give_the_derivative(name):
    """Both parts to a few roundings of the exact complex function at x + 2^-300 i v."""
    x = np.concatenate([points(name).ravel(), [0.01, 0.03, 2.0, 3.0]])
    z = x + 1j * STEP * 0.7
    y = getattr(scalars, name)(z)
    for k in range(len(z)):
        with working_precision(4000):
            truth = by_balls(name, flint.acb(complex(z[k])))
            for found, exact in ((y[k].real, truth.real), (y[k].imag / STEP, truth.imag / flint.arb(STEP))):
                scale = max(abs(float(exact)), 1.0 if name in ABSOLUTE else 0.0)
                assert abs(flint.arb(found) - exact) <= 8 * 2.0**-53 * scale * (1 + abs(x[k])) + 1e-200, x[k]


@functions
def test_balls_contain_and_rounded_numbers_bound_the_value(name):
    x = points(name)
    balls, bounded = getattr(scalars, name)(to_balls(x)), getattr(scalars, name)(rounded(x))
    with working_precision(300):
        for index in np.ndindex(*x.shape):
            truth = by_balls(name, flint.arb(x[index]))
            assert balls[index].overlaps(truth)
            assert abs(flint.arb(values(bounded)[index]) - truth) <= errors(bounded)[index]


@functions
def test_a_constant_promotes_nothing(name):
    """A Python float gives a Python float, which leaves a float32 array float32."""
    y = getattr(scalars, name)(0.5)
    assert type(y) is float
    assert (np.ones(3, np.float32) * y).dtype == np.float32


def test_the_logistic_function_never_overflows():
    x = np.array([-1e100, -800.0, 800.0, 1e100])
    for z in (x, x + 1j * STEP):
        assert np.array_equal(np.real(scalars.logistic(z)), [0, 0, 1, 1])
        assert np.all(np.imag(scalars.logistic(z)) == 0)


@pytest.mark.parametrize("value", [0, -3, 2**60, 0.1, Fraction(1, 3)], ids=str)
@systems
def test_number_is_in_the_system_of_its_neighbour(value, kind):
    like = SYSTEMS[kind](np.ones(2))
    x = scalars.number(value, like)
    if kind in (np.float32, np.float64, np.complex128):
        assert type(x) is float and x == float(value)
        assert (like * x).dtype == like.dtype
        return
    assert type(x) is kind
    if kind is Fraction:
        assert x == Fraction(value)
    elif kind is flint.arb:
        assert (x * 3 - flint.arb(3 * Fraction(value).numerator) / Fraction(value).denominator).contains(0)
        assert x.is_exact() or isinstance(value, Fraction)
    else:
        assert abs(Fraction(x.v) - Fraction(value)) <= Fraction(x.error)


@systems
def test_pi(kind):
    like = SYSTEMS[kind](np.ones(2))
    if kind is Fraction:
        with pytest.raises(NumberSystemError, match="pi: is not a rational number"):
            scalars.pi(like)
    elif kind is flint.arb:
        assert scalars.pi(like).overlaps(flint.arb.pi())
    else:
        assert float(scalars.pi(like)) == math.pi
        assert_number_type(kind, like * scalars.pi(like))


@systems
def test_zeros_and_one_hot_keep_the_number_type(kind):
    like = SYSTEMS[kind](np.ones((2, 3)))
    for array, shape in (
        (scalars.zeros((4, 5), like), (4, 5)),
        (scalars.zeros_like(like), (2, 3)),
        (scalars.zeros((), like), ()),
    ):
        assert array.shape == shape
        assert_number_type(kind, array)
        assert all(float(np.real(element)) == 0 for element in array.flat)
    labels = np.array([[2, 0], [1, 1], [0, 2]])
    hot = scalars.one_hot(labels, 3, like)
    assert_number_type(kind, hot)
    assert np.array_equal(np.real(hot).astype(float) if kind is not Rounded else values(hot), np.eye(3)[labels])


def test_rows_merges_the_leading_axes():
    x = np.arange(30).reshape(2, 3, 5)
    assert np.array_equal(scalars.rows(x), x.reshape(6, 5)) and scalars.rows(x[0]).shape == (3, 5)


@systems
def test_ranks_are_indexed_from_one(kind):
    s = SYSTEMS[kind](np.array([10.0, 20.0, 30.0]))
    picked = scalars.at_ranks(s, (3, 1, 3))
    assert [float(np.real(x)) for x in picked] == [30, 10, 30]
    summed = scalars.sum_by_rank(picked, (3, 1, 3), 4)
    assert [float(np.real(x)) for x in summed] == [10, 0, 60, 0]
    assert_number_type(kind, picked, summed)


@systems
def test_decisions(kind):
    x, y = SYSTEMS[kind](np.array([[1.0, -2.0, 0.0]])), SYSTEMS[kind](np.array([[-1.0, 3.0, 0.5]]))
    assert scalars.positive(x).tolist() == [[True, False, False]]
    assert scalars.positive(x).dtype == bool
    larger = scalars.maximum(x, y)
    assert [float(np.real(element)) for element in larger.flat] == [1, 3, 0.5]
    chosen = scalars.where(np.array([[True, False, True]]), x, y)
    assert [float(np.real(element)) for element in chosen.flat] == [1, 3, 0]
    assert_number_type(kind, larger, chosen)
    assert scalars.argmax(x).tolist() == [0] and scalars.argmax(y).tolist() == [1]
    top = scalars.largest(y)
    assert top.shape == (1, 1) and float(np.real(top[0, 0])) == 3
    assert_number_type(kind, top if kind is not np.complex128 else y - top)
    assert scalars.isfinite(x) is True


def test_argmax_takes_the_first_of_equals():
    x = np.array([[1.0, 5.0, 5.0], [7.0, 7.0, 2.0]])
    for array in (x, fractions(x), to_balls(x)):
        assert scalars.argmax(array).tolist() == [1, 0]


def test_complex_numbers_are_compared_by_their_real_part():
    z = np.array([1e-300 + 1j, -1.0 + 9j, 0.0 + 1j])
    assert scalars.positive(z).tolist() == [True, False, False]
    assert scalars.argmax(z) == 0
    assert scalars.maximum(z, 0 * z).tolist() == [1e-300 + 1j, 0, 0]


@pytest.mark.parametrize("doubtful", [flint.arb(0, 0.5), Rounded(0.1, 0.2)], ids=["arb", "Rounded"])
def test_the_undecided_is_refused(doubtful):
    x = np.array([[doubtful, 2 * doubtful]], dtype=object)
    zero = scalars.zeros_like(x)
    for decide in (
        lambda: scalars.positive(x),
        lambda: scalars.positive(doubtful),
        lambda: scalars.maximum(x, zero),
        lambda: scalars.argmax(x),
    ):
        with pytest.raises(NeedMorePrecision, match="undecided"):
            decide()
    assert scalars.largest(x).shape == (1, 1)  # any shift will do


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_isfinite(bad):
    for kind in (np.float32, np.float64, np.complex128, flint.arb, Rounded):
        x = SYSTEMS[kind](np.array([[1.0, 2.0, bad]]))
        assert scalars.isfinite(x) is False
        assert scalars.isfinite(x[:, :2]) is True
    assert scalars.isfinite(np.array([1 + 1j * bad])) is False
    assert scalars.isfinite(fractions(np.ones(3))) is True


def test_log_softmax_is_stable_in_every_system():
    z = np.array([[1000.0, 0.0, -1000.0], [0.0, 0.0, 0.0]])
    expected = np.array([[0.0, -1000.0, -2000.0], [-math.log(3)] * 3])
    for kind in (np.float32, np.float64, np.complex128, flint.arb, Rounded):
        y = scalars.log_softmax(SYSTEMS[kind](z))
        assert_number_type(kind, y)
        assert np.allclose([[float(np.real(e)) for e in row] for row in y], expected, rtol=1e-6, atol=0)


def test_masked_softmax_counts_what_is_seen_in_every_system():
    z = np.array([[1000.0, 2e5, -1000.0], [7.0, 7.0, 7.0], [3.0, 2e5, 4.0]])
    seen = np.array([[True, False, True], [True, True, False], [False, False, False]])
    for kind in (np.float32, np.float64, np.complex128, flint.arb, Rounded):
        p = scalars.masked_softmax(SYSTEMS[kind](z), seen)
        assert_number_type(kind, p)
        p = np.array([[float(np.real(e)) for e in row] for row in p])
        assert np.array_equal(p, [[1, 0, 0], [0.5, 0.5, 0], [0, 0, 0]])


def test_masked_softmax_of_one_number_is_exactly_one():
    z = to_balls(np.array([[1.0, 2.0]])) / 3
    p = scalars.masked_softmax(z, np.array([[True, False]]))
    assert all(element.is_exact() for element in p.flat) and p.tolist() == [[1, 0]]


def test_masked_softmax_of_everything_is_the_softmax():
    z = np.array([[0.5, -3.0, 2.0], [1.0, 1.0, -40.0]])
    p = scalars.masked_softmax(z, np.ones((2, 3), bool))
    assert np.allclose(p, np.exp(scalars.log_softmax(z)), rtol=1e-14)
