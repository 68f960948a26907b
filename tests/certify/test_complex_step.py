"""The gradient checker is itself checked: it must refuse wrong gradients and accept right ones."""

import math

import numpy as np
import pytest
from helpers import distinct_primes, normal, seeds
from hypothesis import given, settings

from nsn_ref.certify.complex_step import GradientCheck, check_gradient, gradient_error_bounds
from nsn_ref.errors import ShapeError
from nsn_ref.ops.dense import dense_backward, dense_forward
from nsn_ref.ops.gelu import gelu_backward, gelu_forward
from nsn_ref.ops.layer_norm import layer_norm_backward, layer_norm_forward
from nsn_ref.ops.nested_linear import nested_linear_backward, nested_linear_forward

NAMES = ("x", "A", "B", "b")


def forward(*inputs):
    return nested_linear_forward(*inputs, 4)


def planted(change, k):
    """The right backward, but for gradient k."""

    def backward(dy, saved):
        grads = list(nested_linear_backward(dy, saved))
        grads[k] = change(grads[k])
        return tuple(grads)

    return backward


@pytest.fixture
def inputs(rng):
    return normal(rng, (5, 3), (11, 3), (7, 11), (7,))


def one_element(grad):
    wrong = grad.copy()
    wrong[np.unravel_index(np.argmax(np.array(abs(grad).tolist(), dtype=float)), grad.shape)] *= 1.000001
    return wrong


@pytest.mark.parametrize("k", range(4), ids=NAMES)
@pytest.mark.parametrize(
    "change",
    [
        lambda g: g * 1.000001,
        lambda g: g * (1 - 1e-12),
        lambda g: -g,
        lambda g: g * 0,
        lambda g: np.roll(g, 1, axis=0),
        lambda g: g[..., ::-1],
    ],
    ids=["1e-6", "1e-12", "sign", "zero", "rolled", "reversed"],
)
def test_a_planted_error_in_any_one_gradient_is_refused(rng, inputs, change, k):
    check = check_gradient(forward, planted(change, k), inputs, rng)
    assert not check.passed
    assert check.which == k


@pytest.mark.parametrize("k", range(4), ids=NAMES)
def test_one_wrong_element_is_refused(rng, inputs, k):
    """Changed only where it is a float, so that the tolerance is the right gradient's."""
    wrong = planted(lambda g: one_element(g) if g.dtype != object else g, k)
    assert not check_gradient(forward, wrong, inputs, rng).passed


@pytest.mark.parametrize("k", range(4), ids=NAMES)
@pytest.mark.parametrize("which", range(4), ids=NAMES)
def test_a_huge_input_hides_no_error_in_another_gradient(rng, inputs, which, k):
    inputs[which] = inputs[which] * 1e100
    assert check_gradient(forward, nested_linear_backward, inputs, rng).passed
    assert not check_gradient(forward, planted(lambda g: g * 1.000001, k), inputs, rng).passed


def test_a_transpose_that_no_shape_reveals_is_refused(rng):
    def transposed(dy, saved):
        dx, dW, db = dense_backward(dy, saved)
        return dx, dW.T, db

    check = check_gradient(dense_forward, transposed, normal(rng, (5, 3), (3, 3), (3,)), rng)
    assert not check.passed and check.which == 1


def test_a_missing_sum_is_refused(rng):
    def one_row_only(dy, saved):
        dx, dW, _ = dense_backward(dy, saved)
        return dx, dW, dy[0]

    check = check_gradient(dense_forward, one_row_only, normal(rng, (5, 3), (7, 3), (7,)), rng)
    assert not check.passed and check.which == 2


def test_a_missing_term_is_refused(rng):
    """A layer norm whose statistics are taken as constants."""

    def constants(dy, saved):
        _, dw, db = layer_norm_backward(dy, saved)
        return dy * saved.w * saved.scale, dw, db

    assert not check_gradient(layer_norm_forward, constants, normal(rng, (5, 7), (7,), (7,)), rng).passed


@pytest.mark.filterwarnings("ignore:invalid value")  # some Python versions report it where NaN meets an object
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(rng, inputs, bad):
    assert not check_gradient(forward, planted(lambda g: g + bad, 2), inputs, rng).passed
    for check in (
        GradientCheck(0, bad, 1.0, 1.0),
        GradientCheck(0, 1.0, bad, 1.0),
        GradientCheck(0, bad, bad, 1.0),
        GradientCheck(0, 1.0, 1.0, bad),
        GradientCheck(0, 1.0, 2.0, bad),
    ):
        assert not check.passed


def test_a_zero_tolerance_accepts_equality_only():
    assert GradientCheck(0, 1.0, 1.0, 0.0).passed
    assert not GradientCheck(0, 1.0, math.nextafter(1.0, 2.0), 0.0).passed


def test_a_wrong_shape_is_an_error(rng, inputs):
    with pytest.raises(ShapeError, match=r"a gradient has shape \(3, 11\), expected \(11, 3\), its input's"):
        check_gradient(forward, planted(np.transpose, 1), inputs, rng)
    with pytest.raises(ShapeError, match=r"a gradient has shape \(1, 7\), expected \(7,\)"):
        check_gradient(forward, planted(lambda g: g[None], 3), inputs, rng)


def test_a_missing_gradient_is_an_error(rng, inputs):
    with pytest.raises(ValueError, match="shorter"):
        check_gradient(forward, lambda dy, saved: nested_linear_backward(dy, saved)[:3], inputs, rng)


def test_a_number_is_differentiated_like_an_array(rng):
    """A forward that returns a number gets a number as cotangent."""

    def half_square(x):
        return (x * x).sum() / 2, x

    assert check_gradient(half_square, lambda dloss, x: dloss * x, normal(rng, (5, 3)), rng).passed
    assert not check_gradient(half_square, lambda dloss, x: 2 * dloss * x, normal(rng, (5, 3)), rng).passed


@settings(max_examples=250)
@given(distinct_primes(4), seeds)
def test_right_gradients_are_accepted_five_hundred_times(sizes, seed):
    """Two in each example."""
    n, d_in, d_out, R = sizes
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, R + 1))
    inputs = normal(rng, (n, d_in), (R, d_in), (d_out, R), (d_out,))
    check = check_gradient(lambda *a: nested_linear_forward(*a, rank), nested_linear_backward, inputs, rng)
    assert check.ratio < 0.5  # half of what it may be: a worst case would need every rounding to conspire
    nonlinear = check_gradient(gelu_forward, gelu_backward, [3 * inputs[0]], rng)
    assert nonlinear.ratio < 0.5


def test_the_bounds_are_a_few_roundings_of_the_terms(rng, inputs):
    dy = rng.standard_normal((5, 7))
    _, saved = forward(*inputs)
    grads = nested_linear_backward(dy, saved)
    size = nested_linear_backward(abs(dy), forward(*map(abs, inputs))[1])  # sum of |terms|
    for bound, grad, terms in zip(
        gradient_error_bounds(forward, nested_linear_backward, inputs, dy), grads, size, strict=True
    ):
        assert bound.shape == grad.shape
        assert (bound <= 20 * 2.0**-53 * terms).all()
        assert (bound[terms > 0] > 0).all() and (bound[terms == 0] == 0).all()
