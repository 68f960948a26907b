"""The patches of an image under each position of a convolution's kernel, and their adjoint."""

import math

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import ShapeError
from nsn_ref.scalars import zeros


def geometry(function, name, kernel, x_shape, stride, padding):
    """Check stride and padding, and that the kernels of the array `name` fit into the padded image.

    Returns
    -------
    stride, padding : pair of int

    Raises
    ------
    OptionError, ShapeError
    """
    stride, padding = checks.pair(function, "stride", stride, 1), checks.pair(function, "padding", padding, 0)
    image = _padded(x_shape, padding)[2:]
    if any(size < k for size, k in zip(image, kernel, strict=True)):
        raise ShapeError(f"{function}: {name} has kernels of shape {kernel}, expected at most {image}")
    return stride, padding


def positions(x_shape, kernel, stride, padding):
    """(H_out, W_out): how often the kernel fits, down and across."""
    sizes = zip(x_shape[2:], kernel, stride, padding, strict=True)
    return tuple((size + 2 * p - k) // s + 1 for size, k, s, p in sizes)


def check_patches(function, seen, x, kernel, stride, padding):
    """Check the shape of patches that are given, beside the images that they are of.

    Raises
    ------
    ShapeError
    """
    expected = (len(x), *positions(x.shape, kernel, stride, padding), x.shape[1] * math.prod(kernel))
    if seen.shape != expected:
        raise ShapeError(f"{function}: seen has shape {seen.shape}, expected {expected}, that of the patches of x")


def patches(x, kernel, stride, padding):
    """What the kernel sees at each position: (n, H_out, W_out, c_in k_h k_w)."""
    padded = zeros(_padded(x.shape, padding), x)
    padded[_inside(x.shape, padding)] = x
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(len(x), *windows.shape[2:4], x.shape[1] * math.prod(kernel))


def sum_of_patches(patches, x_shape, kernel, stride, padding):
    """The adjoint of `patches`: each pixel is the sum of its copies."""
    n, H_out, W_out, _ = patches.shape
    windows = patches.reshape(n, H_out, W_out, x_shape[1], *kernel).transpose(0, 3, 1, 2, 4, 5)
    padded = zeros(_padded(x_shape, padding), patches)
    for i, j in np.ndindex(*kernel):
        down = slice(i, i + stride[0] * H_out, stride[0])
        across = slice(j, j + stride[1] * W_out, stride[1])
        padded[:, :, down, across] += windows[..., i, j]
    return padded[_inside(x_shape, padding)]


def _padded(shape, padding):
    return shape[:2] + tuple(size + 2 * p for size, p in zip(shape[2:], padding, strict=True))


def _inside(shape, padding):
    return (..., *(slice(p, p + size) for size, p in zip(shape[2:], padding, strict=True)))
