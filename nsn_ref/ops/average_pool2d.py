"""Average pooling of images over windows that tile them."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import ShapeError


class AveragePool2dSaved(NamedTuple):
    """What the backward pass needs."""

    x: np.ndarray  # (n, c, H, W)
    size: tuple  # (k_h, k_w)


def average_pool2d_forward(x, size):
    """The mean over each window of k_h x k_w pixels; a window of (H, W) gives the mean of the whole image.

    Parameters
    ----------
    x : ndarray, shape (n, c, H, W)
    size : int or pair of ints, >= 1
        k_h and k_w, which divide H and W; one int stands for both.

    Returns
    -------
    y : ndarray, shape (n, c, H / k_h, W / k_w)
    saved : AveragePool2dSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError

    Notes
    -----
    Source: LeCun et al., Proc. IEEE 86 (1998), sec. II; over the whole image: Lin et al., arXiv:1312.4400, sec. 3.2.
    """
    checks.arrays("average_pool2d_forward", x=(x, "n c H W"))
    size = checks.pair("average_pool2d_forward", "size", size, 1)
    n, c, H, W = x.shape
    k_h, k_w = size
    if H % k_h or W % k_w:
        raise ShapeError(f"average_pool2d_forward: x has shape {x.shape}, expected H and W divisible by {size}")
    windows = x.reshape(n, c, H // k_h, k_h, W // k_w, k_w)
    return windows.sum(axis=(3, 5)) / (k_h * k_w), AveragePool2dSaved(x, size)


def average_pool2d_backward(dy, saved):
    """Spread each cotangent evenly over its window.

    Parameters
    ----------
    dy : ndarray, shape (n, c, H / k_h, W / k_w)
    saved : AveragePool2dSaved

    Returns
    -------
    dx : ndarray, shape (n, c, H, W)

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
    """
    x, (k_h, k_w) = saved
    n, c, H, W = x.shape
    checks.cotangent("average_pool2d_backward", dy, (n, c, H // k_h, W // k_w), like=x)
    return np.repeat(
        np.repeat(dy / (k_h * k_w), k_h, axis=2), k_w, axis=3
    )  # y = windows.sum(axis=(3, 5)) / (k_h * k_w)
