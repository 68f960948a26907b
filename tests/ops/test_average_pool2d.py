"""average_pool2d against a scalar loop, exact algebra and the complex step."""

from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from helpers import adversarial, assert_certified, assert_gradient, assert_number_type, normal, random_fractions

from nsn_ref.errors import NonFiniteError, OptionError, ShapeError
from nsn_ref.ops.average_pool2d import average_pool2d_backward, average_pool2d_forward

SIZES = [1, 2, (2, 1), (1, 3), (4, 6)]


@pytest.mark.parametrize("size", SIZES)
def test_forward_and_backward_by_scalar_loops_exactly(rng, size):
    x = random_fractions(rng, 2, 3, 4, 6)
    k_h, k_w = size if isinstance(size, tuple) else (size, size)
    y, saved = average_pool2d_forward(x, size)
    assert y.shape == (2, 3, 4 // k_h, 6 // k_w)
    dy = random_fractions(rng, *y.shape)
    dx = average_pool2d_backward(dy, saved)
    for n, c, i, j in np.ndindex(*y.shape):
        window = [(n, c, i * k_h + p, j * k_w + q) for p in range(k_h) for q in range(k_w)]
        assert y[n, c, i, j] == sum(x[pixel] for pixel in window) / len(window)
        assert all(dx[pixel] == dy[n, c, i, j] / len(window) for pixel in window)
    assert_number_type(Fraction, y, dx)


@pytest.mark.parametrize("size", SIZES)
def test_backward_agrees_with_the_complex_step(rng, size):
    (x,) = normal(rng, (2, 3, 4, 6))
    for value in (x, *adversarial(rng, x)):
        assert_gradient(partial(average_pool2d_forward, size=size), average_pool2d_backward, [value], rng)


def test_floats_lie_within_their_bounds_of_the_certified_values(rng):
    forward = partial(average_pool2d_forward, size=(2, 3))
    assert_certified(forward, average_pool2d_backward, normal(rng, (2, 3, 4, 6)), rng)


def test_bad_input_is_named(rng):
    (x,) = normal(rng, (2, 3, 4, 6))
    with pytest.raises(ShapeError, match=r"x has shape \(2, 3, 4, 6\), expected H and W divisible by \(2, 4\)"):
        average_pool2d_forward(x, (2, 4))
    with pytest.raises(ShapeError, match=r"x has shape \(3, 4, 6\), expected \(n, c, H, W\)"):
        average_pool2d_forward(x[0], 2)
    for size in (0, 1.5, None, (2, 0)):
        with pytest.raises(OptionError, match=r"average_pool2d_forward: size is .*, expected an integer of at least 1"):
            average_pool2d_forward(x, size)
    with pytest.raises(NonFiniteError, match=r"average_pool2d_forward: x has NaN or infinity"):
        average_pool2d_forward(x * np.inf, 2)
    _, saved = average_pool2d_forward(x, 2)
    with pytest.raises(ShapeError, match=r"dy has shape \(2, 3, 4, 6\), expected \(2, 3, 2, 3\)"):
        average_pool2d_backward(x, saved)
