"""Dense linear layer: y = x W^T + b."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import rows


class DenseSaved(NamedTuple):
    """What the backward pass needs."""

    x: np.ndarray  # (..., d_in)
    W: np.ndarray  # (d_out, d_in)


def dense_forward(x, W, b):
    """Multiply by a full weight matrix and add the bias.

    Parameters
    ----------
    x : ndarray, shape (n, d_in) or (n, T, d_in)
    W : ndarray, shape (d_out, d_in)
    b : ndarray, shape (d_out,)

    Returns
    -------
    y : ndarray, shape (n, d_out) or (n, T, d_out)
    saved : DenseSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: the baseline of arXiv:2509.17874v1, sec. 2.1.
    """
    checks.arrays("dense_forward", x=(x, "... d_in"), W=(W, "d_out d_in"), b=(b, "d_out"))
    return x @ W.T + b, DenseSaved(x, W)


def dense_backward(dy, saved):
    """Gradients of a dense layer.

    Parameters
    ----------
    dy : ndarray, shape (n, d_out) or (n, T, d_out)
    saved : DenseSaved

    Returns
    -------
    dx, dW, db : ndarray
        In the shapes of x, W, b.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: the chain rule.
    """
    x, W = saved
    checks.cotangent("dense_backward", dy, x.shape[:-1] + W.shape[:1], like=x)
    dx = dy @ W  # y = x @ W.T + b
    dW = rows(dy).T @ rows(x)
    db = rows(dy).sum(axis=0)
    return dx, dW, db
