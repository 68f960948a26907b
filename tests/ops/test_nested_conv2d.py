"""nested_conv2d against a scalar loop, nested_linear, exact algebra and the complex step."""

from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from helpers import (
    adversarial,
    assert_certified,
    assert_gradient,
    assert_number_type,
    normal,
    random_fractions,
    ranks_of,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref.errors import DTypeError, NonFiniteError, OptionError, RankError, ShapeError
from nsn_ref.ops.nested_conv2d import nested_conv2d_backward, nested_conv2d_forward
from nsn_ref.ops.nested_linear import nested_linear_backward, nested_linear_forward

SIZES = st.permutations((2, 3, 5)).map(tuple)
GEOMETRIES = st.tuples(
    st.sampled_from([(5, 7), (4, 3), (3, 6)]),  # H, W
    st.sampled_from([(1, 1), (3, 2), (2, 3), (1, 3)]),  # kernel
    st.sampled_from([1, 2, (2, 1), (1, 3)]),  # stride
    st.sampled_from([0, 1, (0, 2), (2, 1)]),  # padding
)


def as_pair(value):
    return value if isinstance(value, tuple) else (value, value)


def by_scalar_loop(x, A, B, b, rank, stride, padding):
    """Each output pixel from the definition; what lies outside the image is zero."""
    (s_h, s_w), (p_h, p_w) = as_pair(stride), as_pair(padding)
    n, c_in, H, W = x.shape
    k_h, k_w = A.shape[2:]
    y = np.empty((n, len(B), (H + 2 * p_h - k_h) // s_h + 1, (W + 2 * p_w - k_w) // s_w + 1), dtype=object)
    for m, c, top, left in np.ndindex(*y.shape):
        total = b[c]
        for r in range(rank):
            for k, i, j in np.ndindex(c_in, k_h, k_w):
                row, column = top * s_h + i - p_h, left * s_w + j - p_w
                if 0 <= row < H and 0 <= column < W:
                    total += B[c, r] * A[r, k, i, j] * x[m, k, row, column]
        y[m, c, top, left] = total
    return y


def shapes(sizes, geometry):
    c_in, c_out, R = sizes
    image, kernel, _, _ = geometry
    return (2, c_in, *image), (R, c_in, *kernel), (c_out, R), (c_out,)


@given(SIZES, GEOMETRIES, seeds)
def test_forward_is_the_convolution_exactly(sizes, geometry, seed):
    rng = np.random.default_rng(seed)
    inputs = [rng.integers(-9, 10, shape) + 0.0 for shape in shapes(sizes, geometry)]  # exact in floats, and fast
    _, _, stride, padding = geometry
    for rank in ranks_of(sizes[2]):
        y, _ = nested_conv2d_forward(*inputs, rank, stride=stride, padding=padding)
        assert (y == by_scalar_loop(*inputs, rank, stride, padding)).all()


@given(SIZES, GEOMETRIES, seeds)
def test_the_patches_of_another_rank_serve_as_well(sizes, geometry, seed):
    rng = np.random.default_rng(seed)
    inputs = normal(rng, *shapes(sizes, geometry))
    options = {"stride": geometry[2], "padding": geometry[3]}
    _, other = nested_conv2d_forward(*inputs, 1, **options)
    y, saved = nested_conv2d_forward(*inputs, sizes[2], **options)
    given, given_saved = nested_conv2d_forward(*inputs, sizes[2], **options, seen=other.linear.x)
    assert (given == y).all() and given_saved.linear.x is other.linear.x
    grads = zip(nested_conv2d_backward(y, saved), nested_conv2d_backward(y, given_saved), strict=True)
    assert all((a == b).all() for a, b in grads)
    with pytest.raises(ShapeError, match=r"nested_conv2d_forward: seen has shape .*, expected \(2, "):
        nested_conv2d_forward(*inputs, 1, **options, seen=other.linear.x[:1])


@given(SIZES, GEOMETRIES, seeds)
def test_backward_agrees_with_the_complex_step(sizes, geometry, seed):
    rng = np.random.default_rng(seed)
    inputs = normal(rng, *shapes(sizes, geometry))
    _, _, stride, padding = geometry
    rank = int(rng.choice(ranks_of(sizes[2])))
    forward = partial(nested_conv2d_forward, rank=rank, stride=stride, padding=padding)
    assert_gradient(forward, nested_conv2d_backward, inputs, rng)


@pytest.mark.parametrize("rank", [1, 4, 7])
def test_fractions_stay_exact_and_the_backward_is_the_adjoint(rng, rank):
    """Affine in each argument, so <dy, f(p + v) - f(p)> = <df, v> with no error at all."""
    inputs = [random_fractions(rng, *shape) for shape in ((2, 3, 4, 5), (7, 3, 3, 2), (5, 7), (5,))]
    forward = partial(nested_conv2d_forward, rank=rank, stride=(2, 1), padding=(1, 2))
    y, saved = forward(*inputs)
    assert (y == by_scalar_loop(*inputs, rank, (2, 1), (1, 2))).all()
    dy = random_fractions(rng, *y.shape)
    grads = nested_conv2d_backward(dy, saved)
    assert_number_type(Fraction, y, *grads)
    for k, grad in enumerate(grads):
        v = random_fractions(rng, *grad.shape)
        moved = [a + v if j == k else a for j, a in enumerate(inputs)]
        assert (dy * (forward(*moved)[0] - y)).sum() == (grad * v).sum()


def test_a_kernel_of_one_pixel_is_the_nested_linear_layer_exactly(rng):
    x, A, B, b = (random_fractions(rng, *shape) for shape in ((2, 3, 4, 7), (5, 3, 1, 1), (11, 5), (11,)))
    y, saved = nested_conv2d_forward(x, A, B, b, 4)
    pixels = x.transpose(0, 2, 3, 1).reshape(-1, 3)
    y_linear, saved_linear = nested_linear_forward(pixels, A[:, :, 0, 0], B, b, 4)
    assert (y.transpose(0, 2, 3, 1).reshape(-1, 11) == y_linear).all()
    dy = random_fractions(rng, *y.shape)
    dx, dA, dB, db = nested_conv2d_backward(dy, saved)
    grads = nested_linear_backward(dy.transpose(0, 2, 3, 1).reshape(-1, 11), saved_linear)
    found = dx.transpose(0, 2, 3, 1).reshape(-1, 3), dA[:, :, 0, 0], dB, db
    assert all((a == c).all() for a, c in zip(found, grads, strict=True))


@pytest.mark.parametrize("which", range(4), ids=["x", "A", "B", "b"])
def test_adversarial_values(rng, which):
    inputs = normal(rng, (2, 3, 4, 5), (7, 3, 3, 2), (5, 7), (5,))
    for value in adversarial(rng, inputs[which]):
        changed = [value if k == which else a for k, a in enumerate(inputs)]
        assert_gradient(partial(nested_conv2d_forward, rank=4, padding=1), nested_conv2d_backward, changed, rng)


def test_floats_lie_within_their_bounds_of_the_certified_values(rng):
    inputs = normal(rng, (2, 3, 4, 5), (5, 3, 3, 2), (3, 5), (3,))
    assert_certified(partial(nested_conv2d_forward, rank=2, stride=2, padding=1), nested_conv2d_backward, inputs, rng)


def test_unused_components_get_exactly_zero(rng):
    y, saved = nested_conv2d_forward(*normal(rng, (2, 3, 4, 5), (7, 3, 3, 2), (5, 7), (5,)), 4)
    _, dA, dB, _ = nested_conv2d_backward(y, saved)
    assert (dA[4:] == 0).all() and (dB[:, 4:] == 0).all()
    assert (dA[:4] != 0).all() and (dB[:, :4] != 0).all()


def test_an_empty_batch_gives_an_empty_output(rng):
    y, saved = nested_conv2d_forward(*normal(rng, (0, 3, 4, 5), (7, 3, 3, 2), (5, 7), (5,)), 4)
    assert y.shape == (0, 5, 2, 4)
    assert [g.shape for g in nested_conv2d_backward(y, saved)] == [(0, 3, 4, 5), (7, 3, 3, 2), (5, 7), (5,)]


def test_bad_input_is_named(rng):
    x, A, B, b = normal(rng, (2, 3, 4, 5), (7, 3, 3, 2), (5, 7), (5,))
    for rank in (0, 8, True, None):
        with pytest.raises(RankError, match=r"nested_conv2d_forward: rank is .*, expected an integer in 1\.\.7"):
            nested_conv2d_forward(x, A, B, b, rank)
    with pytest.raises(ShapeError, match=r"A has shape \(7, 2, 3, 2\), expected \(R, c_in, k_h, k_w\) = \(R, 3, k_h"):
        nested_conv2d_forward(x, A[:, :2], B, b, 1)
    with pytest.raises(ShapeError, match=r"x has shape \(3, 4, 5\), expected \(n, c_in, H, W\)"):
        nested_conv2d_forward(x[0], A, B, b, 1)
    with pytest.raises(ShapeError, match=r"A has kernels of shape \(3, 2\), expected at most \(2, 5\)"):
        nested_conv2d_forward(x[:, :, :2], A, B, b, 1)
    for stride in (0, -1, 1.0, True, (1, 0)):
        with pytest.raises(OptionError, match=r"stride is .*, expected an integer of at least 1"):
            nested_conv2d_forward(x, A, B, b, 1, stride=stride)
    with pytest.raises(OptionError, match=r"stride is \(1, 2, 3\), expected an integer or a pair of integers"):
        nested_conv2d_forward(x, A, B, b, 1, stride=(1, 2, 3))
    for padding in (-1, "same", None, (0, -1)):
        with pytest.raises(OptionError, match=r"padding is .*, expected an integer of at least 0"):
            nested_conv2d_forward(x, A, B, b, 1, padding=padding)
    with pytest.raises(DTypeError, match="B holds float32, expected float64 as x does"):
        nested_conv2d_forward(x, A, B.astype(np.float32), b, 1)
    with pytest.raises(NonFiniteError, match="nested_conv2d_forward: A has NaN or infinity"):
        nested_conv2d_forward(x, A * np.nan, B, b, 1)
    y, saved = nested_conv2d_forward(x, A, B, b, 1)
    with pytest.raises(
        ShapeError, match=r"nested_conv2d_backward: dy has shape \(2, 5, 4, 2\), expected \(2, 5, 2, 4\)"
    ):
        nested_conv2d_backward(y.swapaxes(2, 3), saved)
