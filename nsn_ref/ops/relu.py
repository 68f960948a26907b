"""Rectified linear unit: y = max(z, 0)."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import positive, where, zeros_like


class ReluSaved(NamedTuple):
    """What the backward pass needs."""

    z: np.ndarray  # any shape


def relu_forward(z):
    """Keep what is positive.

    Parameters
    ----------
    z : ndarray, any shape

    Returns
    -------
    y : ndarray, the shape of z
    saved : ReluSaved

    Raises
    ------
    DTypeError, NonFiniteError

    Notes
    -----
    Source: Nair & Hinton, ICML 2010, sec. 2.
    """
    checks.alike("relu_forward", z=z)
    return where(positive(z), z, zeros_like(z)), ReluSaved(z)


def relu_backward(dy, saved):
    """Pass the cotangent where z > 0; at z = 0 the derivative is taken as 0.

    Parameters
    ----------
    dy : ndarray, the shape of z
    saved : ReluSaved

    Returns
    -------
    dz : ndarray, the shape of z

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: the derivative of max(z, 0); 0 is the element of its subdifferential [0, 1] that the libraries take.
    """
    (z,) = saved
    checks.cotangent("relu_backward", dy, z.shape, like=z)
    return where(positive(z), dy, zeros_like(dy))  # y = max(z, 0)
