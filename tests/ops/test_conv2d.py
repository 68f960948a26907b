"""conv2d against a scalar loop, nested_conv2d, exact algebra and the complex step."""

from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from helpers import adversarial, assert_certified, assert_gradient, assert_number_type, normal, random_fractions, seeds
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.errors import DTypeError, NonFiniteError, OptionError, ShapeError
from nsn_ref.ops.conv2d import conv2d_backward, conv2d_forward
from nsn_ref.ops.nested_conv2d import nested_conv2d_backward, nested_conv2d_forward


def by_scalar_loop(x, W, b, stride, padding):
    """Each output pixel from the definition; what lies outside the image is zero."""
    n, c_in, H, W_in = x.shape
    k_h, k_w = W.shape[2:]
    shape = (H + 2 * padding[0] - k_h) // stride[0] + 1, (W_in + 2 * padding[1] - k_w) // stride[1] + 1
    y = np.empty((n, len(W), *shape), dtype=object)
    for m, c, top, left in np.ndindex(*y.shape):
        total = b[c]
        for k, i, j in np.ndindex(c_in, k_h, k_w):
            row, column = top * stride[0] + i - padding[0], left * stride[1] + j - padding[1]
            if 0 <= row < H and 0 <= column < W_in:
                total += W[c, k, i, j] * x[m, k, row, column]
        y[m, c, top, left] = total
    return y


@given(
    st.permutations((2, 3, 5)),
    st.sampled_from([(4, 5), (3, 7)]),
    st.sampled_from([(1, 1), (3, 2), (1, 3)]),
    st.sampled_from([(1, 1), (2, 1), (3, 2)]),
    st.sampled_from([(0, 0), (1, 2)]),
    seeds,
)
def test_forward_exactly_and_backward_by_complex_step(channels, image, kernel, stride, padding, seed):
    rng, (n, c_in, c_out) = np.random.default_rng(seed), channels
    shapes = (n, c_in, *image), (c_out, c_in, *kernel), (c_out,)
    forward = partial(conv2d_forward, stride=stride, padding=padding)
    whole = [rng.integers(-9, 10, shape) + 0.0 for shape in shapes]  # exact in floats
    assert (forward(*whole)[0] == by_scalar_loop(*whole, stride, padding)).all()
    assert_gradient(forward, conv2d_backward, normal(rng, *shapes), rng)


def test_fractions_stay_exact_and_the_backward_is_the_adjoint(rng):
    """Affine in each argument, so <dy, f(p + v) - f(p)> = <df, v> with no error at all."""
    inputs = [random_fractions(rng, *shape) for shape in ((2, 3, 4, 5), (7, 3, 3, 2), (7,))]
    forward = partial(conv2d_forward, stride=(2, 1), padding=(1, 2))
    y, saved = forward(*inputs)
    dy = random_fractions(rng, *y.shape)
    grads = conv2d_backward(dy, saved)
    assert_number_type(Fraction, y, *grads)
    for k, grad in enumerate(grads):
        v = random_fractions(rng, *grad.shape)
        moved = [a + v if j == k else a for j, a in enumerate(inputs)]
        assert (dy * (forward(*moved)[0] - y)).sum() == (grad * v).sum()


def test_it_is_the_nested_convolution_with_an_identity_to_mix(rng):
    x, W, b = (random_fractions(rng, *shape) for shape in ((2, 3, 4, 5), (7, 3, 3, 2), (7,)))
    identity = np.vectorize(Fraction, otypes=[object])(np.eye(7, dtype=int))
    y, saved = conv2d_forward(x, W, b, padding=1)
    nested, nested_saved = nested_conv2d_forward(x, W, identity, b, 7, padding=1)
    assert (y == nested).all()
    dx, dW, db = conv2d_backward(y, saved)
    nested_dx, dA, _, nested_db = nested_conv2d_backward(y, nested_saved)
    assert (dx == nested_dx).all() and (dW == dA).all() and (db == nested_db).all()


@pytest.mark.parametrize("which", range(3), ids=["x", "W", "b"])
def test_adversarial_values(rng, which):
    inputs = normal(rng, (2, 3, 4, 5), (7, 3, 3, 2), (7,))
    for value in adversarial(rng, inputs[which]):
        changed = [value if k == which else a for k, a in enumerate(inputs)]
        assert_gradient(partial(conv2d_forward, padding=1), conv2d_backward, changed, rng)


def test_floats_lie_within_their_bounds_of_the_certified_values(rng):
    inputs = normal(rng, (2, 3, 4, 5), (5, 3, 3, 2), (5,))
    assert_certified(partial(conv2d_forward, stride=2, padding=1), conv2d_backward, inputs, rng)


def test_bad_input_is_named(rng):
    x, W, b = normal(rng, (2, 3, 4, 5), (7, 3, 3, 2), (7,))
    with pytest.raises(ShapeError, match=r"W has shape \(7, 2, 3, 2\), expected \(c_out, c_in, k_h, k_w\) = "):
        conv2d_forward(x, W[:, :2], b)
    with pytest.raises(ShapeError, match=r"conv2d_forward: W has kernels of shape \(3, 2\), expected at most \(2, 5\)"):
        conv2d_forward(x[:, :, :2], W, b)
    with pytest.raises(OptionError, match=r"stride is 0, expected an integer of at least 1"):
        conv2d_forward(x, W, b, stride=0)
    with pytest.raises(OptionError, match=r"padding is -1, expected an integer of at least 0"):
        conv2d_forward(x, W, b, padding=-1)
    with pytest.raises(DTypeError, match=r"b holds float32, expected float64 as x does"):
        conv2d_forward(x, W, b.astype(np.float32))
    with pytest.raises(NonFiniteError, match=r"conv2d_forward: W has NaN or infinity"):
        conv2d_forward(x, W * np.nan, b)
    y, saved = conv2d_forward(x, W, b)
    with pytest.raises(ShapeError, match=r"conv2d_backward: dy has shape \(2, 7, 4, 2\), expected \(2, 7, 2, 4\)"):
        conv2d_backward(y.swapaxes(2, 3), saved)
