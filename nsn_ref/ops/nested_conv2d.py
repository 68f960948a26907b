"""Nested convolution at one rank: a k_h x k_w convolution to r channels, then a 1 x 1 convolution to c_out.

It is the nested linear layer applied to the patch of pixels under each position of the kernel.
"""

import math
from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import ShapeError
from nsn_ref.ops.nested_linear import NestedLinearSaved, nested_linear_backward, nested_linear_forward
from nsn_ref.scalars import zeros


class NestedConv2dSaved(NamedTuple):
    """What the backward pass needs."""

    linear: NestedLinearSaved  # x: the patches (n, H_out, W_out, c_in k_h k_w); A: (R, c_in k_h k_w)
    x_shape: tuple  # (n, c_in, H, W)
    kernel: tuple  # (k_h, k_w)
    stride: tuple  # (s_h, s_w)
    padding: tuple  # (p_h, p_w)


def nested_conv2d_forward(x, A, B, b, rank, *, stride=1, padding=0):
    """Convolve with the first `rank` kernels of A, then mix their channels by the first `rank` columns of B.

    Like every deep-learning library's convolution it does not flip the kernel. For each output position it costs
    rank (c_in k_h k_w + c_out) multiply-adds, against c_in k_h k_w c_out for a dense convolution.

    Parameters
    ----------
    x : ndarray, shape (n, c_in, H, W)
    A : ndarray, shape (R, c_in, k_h, k_w)
    B : ndarray, shape (c_out, R)
    b : ndarray, shape (c_out,)
        One bias, shared by every rank.
    rank : int, in 1..R
    stride : int or pair of ints, >= 1
        Steps between positions, down and across; one int stands for both.
    padding : int or pair of ints, >= 0
        Rows of zeros added at the top and at the bottom, columns at the left and at the right.

    Returns
    -------
    y : ndarray, shape (n, c_out, H_out, W_out)
        H_out = (H + 2 p_h - k_h) // s_h + 1, and W_out alike.
    saved : NestedConv2dSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, OptionError

    Notes
    -----
    Source: arXiv:2509.17874v1, Def. 1, applied to patches (ours; the paper nests linear layers only).
    """
    name = "nested_conv2d_forward"
    sizes = checks.arrays(name, x=(x, "n c_in H W"), A=(A, "R c_in k_h k_w"), B=(B, "c_out R"), b=(b, "c_out"))
    checks.rank(name, rank, sizes["R"])
    stride, padding = checks.pair(name, "stride", stride, 1), checks.pair(name, "padding", padding, 0)
    kernel = A.shape[2:]
    if any(size + 2 * p < k for size, p, k in zip(x.shape[2:], padding, kernel, strict=True)):
        raise ShapeError(f"{name}: A has kernels of shape {kernel}, expected at most {_padded(x.shape, padding)[2:]}")
    kernels = A.reshape(len(A), math.prod(A.shape[1:]))
    y, linear = nested_linear_forward(_patches(x, kernel, stride, padding), kernels, B, b, rank)
    return np.moveaxis(y, -1, 1), NestedConv2dSaved(linear, x.shape, kernel, stride, padding)


def nested_conv2d_backward(dy, saved):
    """Gradients at the rank of the forward pass; components above it get exactly zero.

    Parameters
    ----------
    dy : ndarray, shape (n, c_out, H_out, W_out)
    saved : NestedConv2dSaved

    Returns
    -------
    dx, dA, dB, db : ndarray
        In the shapes of x, A, B, b.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: the chain rule on arXiv:2509.17874v1, Def. 1; a pixel's gradient is the sum over the patches that hold it.
    """
    linear, x_shape, kernel, stride, padding = saved
    n, H_out, W_out, _ = linear.x.shape
    checks.cotangent("nested_conv2d_backward", dy, (n, len(linear.B), H_out, W_out), like=linear.x)
    dpatches, dA, dB, db = nested_linear_backward(np.moveaxis(dy, 1, -1), linear)  # y = moveaxis(y, -1, 1)
    dx = _sum_of_patches(dpatches, x_shape, kernel, stride, padding)
    return dx, dA.reshape(len(dA), x_shape[1], *kernel), dB, db


def _patches(x, kernel, stride, padding):
    """What the kernel sees at each position: (n, H_out, W_out, c_in k_h k_w)."""
    padded = zeros(_padded(x.shape, padding), x)
    padded[_inside(x.shape, padding)] = x
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(len(x), *windows.shape[2:4], x.shape[1] * math.prod(kernel))


def _sum_of_patches(patches, x_shape, kernel, stride, padding):
    """The adjoint of `_patches`: each pixel is the sum of its copies."""
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
