"""Layer norm over the last axis: y = w (x - mean) / sqrt(variance + eps) + b."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import number, rows, rsqrt


class LayerNormSaved(NamedTuple):
    """What the backward pass needs."""

    x_hat: np.ndarray  # (..., d): mean 0 and, but for eps, variance 1
    scale: np.ndarray  # (..., 1): 1 / sqrt(variance + eps)
    w: np.ndarray  # (d,)


def layer_norm_forward(x, w, b, eps=1e-5):
    """Subtract each vector's mean, divide by its standard deviation, then scale and shift each coordinate.

    Parameters
    ----------
    x : ndarray, shape (n, d) or (n, T, d)
    w, b : ndarray, shape (d,)
    eps : float, > 0
        Added to the variance (biased: divided by d), inside the root.

    Returns
    -------
    y : ndarray, the shape of x
    saved : LayerNormSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError, NumberSystemError

    Notes
    -----
    Source: Ba, Kiros & Hinton, arXiv:1607.06450, Eq. 3 and 4, with the eps of common practice.
    """
    checks.between("layer_norm_forward", "eps", eps, 0, open_low=True)
    d = checks.arrays("layer_norm_forward", x=(x, "... d"), w=(w, "d"), b=(b, "d"))["d"]
    centred = x - x.sum(axis=-1, keepdims=True) / d
    scale = rsqrt((centred * centred).sum(axis=-1, keepdims=True) / d + number(eps, like=x))
    x_hat = centred * scale
    return x_hat * w + b, LayerNormSaved(x_hat, scale, w)


def layer_norm_backward(dy, saved):
    """Gradients; each row of dx sums to zero, as y does not change when a constant is added to a vector.

    Parameters
    ----------
    dy : ndarray, the shape of x
    saved : LayerNormSaved

    Returns
    -------
    dx, dw, db : ndarray
        In the shapes of x, w, b.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: the chain rule on arXiv:1607.06450, Eq. 3 and 4.
    """
    x_hat, scale, w = saved
    checks.cotangent("layer_norm_backward", dy, x_hat.shape, like=x_hat)
    dw = rows(dy * x_hat).sum(axis=0)  # y = x_hat * w + b
    db = rows(dy).sum(axis=0)
    dx_hat = dy * w
    d = x_hat.shape[-1]
    mean = dx_hat.sum(axis=-1, keepdims=True) / d  # x_hat = (x - mean(x)) * scale
    along = (dx_hat * x_hat).sum(axis=-1, keepdims=True) / d  # dscale/dx = -scale^2 x_hat / d
    dx = scale * (dx_hat - mean - x_hat * along)
    return dx, dw, db
