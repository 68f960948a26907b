"""Nested convolution at one rank: a k_h x k_w convolution to r channels, then a 1 x 1 convolution to c_out.

It is the nested linear layer applied to the patch of pixels under each position of the kernel.
"""

import math
from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.ops.nested_linear import NestedLinearSaved, nested_linear_backward, nested_linear_forward
from nsn_ref.patches import check_patches, geometry, patches, sum_of_patches


class NestedConv2dSaved(NamedTuple):
    """What the backward pass needs."""

    linear: NestedLinearSaved  # x: the patches (n, H_out, W_out, c_in k_h k_w); A: (R, c_in k_h k_w)
    x_shape: tuple  # (n, c_in, H, W)
    kernel: tuple  # (k_h, k_w)
    stride: tuple  # (s_h, s_w)
    padding: tuple  # (p_h, p_w)


def nested_conv2d_forward(x, A, B, b, rank, *, stride=1, padding=0, seen=None):
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
    seen : ndarray, shape (n, H_out, W_out, c_in k_h k_w), optional
        The patches of x, as a call at another rank has saved them in `linear.x`. Default: they are made.

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
    kernel = A.shape[2:]
    stride, padding = geometry(name, "A", kernel, x.shape, stride, padding)
    kernels = A.reshape(len(A), math.prod(A.shape[1:]))
    if seen is None:
        seen = patches(x, kernel, stride, padding)
    else:
        check_patches(name, seen, x, kernel, stride, padding)
    y, linear = nested_linear_forward(seen, kernels, B, b, rank)
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
    dx = sum_of_patches(dpatches, x_shape, kernel, stride, padding)
    return dx, dA.reshape(len(dA), x_shape[1], *kernel), dB, db
