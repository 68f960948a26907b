"""Root-mean-square norm over the last axis: y = w x / sqrt(mean(x^2) + eps)."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import number, rows, rsqrt


class RmsNormSaved(NamedTuple):
    """What the backward pass needs."""

    x_hat: np.ndarray  # (..., d): x / rms
    scale: np.ndarray  # (..., 1): 1 / rms
    w: np.ndarray  # (d,)


def rms_norm_forward(x, w, eps=1e-6):
    """Divide each vector by its root mean square, then scale each coordinate.

    Parameters
    ----------
    x : ndarray, shape (n, d) or (n, T, d)
    w : ndarray, shape (d,)
    eps : float, > 0
        Added to the mean square, inside the root.

    Returns
    -------
    y : ndarray, the shape of x
    saved : RmsNormSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError, NumberSystemError

    Notes
    -----
    Source: Zhang & Sennrich, arXiv:1910.07467, Eq. 4, with the eps of common practice.
    """
    checks.between("rms_norm_forward", "eps", eps, 0, open_low=True)
    d = checks.arrays("rms_norm_forward", x=(x, "... d"), w=(w, "d"))["d"]
    scale = rsqrt((x * x).sum(axis=-1, keepdims=True) / d + number(eps, like=x))
    x_hat = x * scale
    return x_hat * w, RmsNormSaved(x_hat, scale, w)


def rms_norm_backward(dy, saved):
    """Gradients; dx is orthogonal to x but for eps, as y does not change when x is scaled.

    Parameters
    ----------
    dy : ndarray, the shape of x
    saved : RmsNormSaved

    Returns
    -------
    dx, dw : ndarray
        In the shapes of x, w.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: the chain rule on arXiv:1910.07467, Eq. 4.
    """
    x_hat, scale, w = saved
    checks.cotangent("rms_norm_backward", dy, x_hat.shape, like=x_hat)
    dw = rows(dy * x_hat).sum(axis=0)  # y = x_hat * w
    dx_hat = dy * w
    along = (dx_hat * x_hat).sum(axis=-1, keepdims=True) / x_hat.shape[-1]
    dx = scale * (dx_hat - x_hat * along)  # x_hat = x * scale, and dscale/dx = -scale^2 x_hat / d
    return dx, dw
