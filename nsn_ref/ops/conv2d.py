"""Dense convolution: the dense layer applied to the patch of pixels under each position of the kernel."""

import math
from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.ops.dense import DenseSaved, dense_backward, dense_forward
from nsn_ref.patches import geometry, patches, sum_of_patches


class Conv2dSaved(NamedTuple):
    """What the backward pass needs."""

    dense: DenseSaved  # x: the patches (n, H_out, W_out, c_in k_h k_w); W: (c_out, c_in k_h k_w)
    x_shape: tuple  # (n, c_in, H, W)
    kernel: tuple  # (k_h, k_w)
    stride: tuple  # (s_h, s_w)
    padding: tuple  # (p_h, p_w)


def conv2d_forward(x, W, b, *, stride=1, padding=0):
    """Convolve with every kernel; like every deep-learning library's convolution it does not flip them.

    Parameters
    ----------
    x : ndarray, shape (n, c_in, H, W)
    W : ndarray, shape (c_out, c_in, k_h, k_w)
    b : ndarray, shape (c_out,)
    stride : int or pair of ints, >= 1
        Steps between positions, down and across; one int stands for both.
    padding : int or pair of ints, >= 0
        Rows of zeros added at the top and at the bottom, columns at the left and at the right.

    Returns
    -------
    y : ndarray, shape (n, c_out, H_out, W_out)
        H_out = (H + 2 p_h - k_h) // s_h + 1, and W_out alike.
    saved : Conv2dSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError

    Notes
    -----
    Source: LeCun et al., Proc. IEEE 86 (1998), sec. II.
    """
    checks.arrays("conv2d_forward", x=(x, "n c_in H W"), W=(W, "c_out c_in k_h k_w"), b=(b, "c_out"))
    kernel = W.shape[2:]
    stride, padding = geometry("conv2d_forward", "W", kernel, x.shape, stride, padding)
    kernels = W.reshape(len(W), math.prod(W.shape[1:]))
    y, dense = dense_forward(patches(x, kernel, stride, padding), kernels, b)
    return np.moveaxis(y, -1, 1), Conv2dSaved(dense, x.shape, kernel, stride, padding)


def conv2d_backward(dy, saved):
    """Gradients of a dense convolution.

    Parameters
    ----------
    dy : ndarray, shape (n, c_out, H_out, W_out)
    saved : Conv2dSaved

    Returns
    -------
    dx, dW, db : ndarray
        In the shapes of x, W, b.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
    """
    dense, x_shape, kernel, stride, padding = saved
    n, H_out, W_out, _ = dense.x.shape
    checks.cotangent("conv2d_backward", dy, (n, len(dense.W), H_out, W_out), like=dense.x)
    dpatches, dW, db = dense_backward(np.moveaxis(dy, 1, -1), dense)  # y = moveaxis(y, -1, 1)
    dx = sum_of_patches(dpatches, x_shape, kernel, stride, padding)
    return dx, dW.reshape(len(dW), x_shape[1], *kernel), db
