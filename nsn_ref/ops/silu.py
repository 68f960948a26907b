"""Sigmoid linear unit (swish): y = z logistic(z)."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import logistic


class SiluSaved(NamedTuple):
    """What the backward pass needs."""

    z: np.ndarray  # any shape
    p: np.ndarray  # the shape of z: y = z p


def silu_forward(z):
    """Multiply each number by its logistic function.

    Parameters
    ----------
    z : ndarray, any shape

    Returns
    -------
    y : ndarray, the shape of z
    saved : SiluSaved

    Raises
    ------
    DTypeError, NonFiniteError, NumberSystemError

    Notes
    -----
    Source: Elfwing, Uchibe & Doya, arXiv:1702.03118, sec. 2.
    """
    checks.alike("silu_forward", z=z)
    p = logistic(z)
    return z * p, SiluSaved(z, p)


def silu_backward(dy, saved):
    """Gradient with respect to z.

    Parameters
    ----------
    dy : ndarray, the shape of z
    saved : SiluSaved

    Returns
    -------
    dz : ndarray, the shape of z

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: the product rule; the derivative of p = logistic(z) is p (1 - p), and 1 - p = logistic(-z).
    """
    z, p = saved
    checks.cotangent("silu_backward", dy, z.shape, like=z)
    return dy * (p + z * p * logistic(-z))  # y = z * p
