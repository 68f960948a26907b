"""Gaussian error linear unit: y = z Phi(z), Phi the standard normal distribution; or its tanh approximation."""

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import erfc, exp, logistic, number, pi, sqrt

FORMS = ("none", "tanh")
CUBIC = Fraction(44715, 1000000)


class GeluSaved(NamedTuple):
    """What the backward pass needs."""

    z: np.ndarray  # any shape
    phi: np.ndarray  # the shape of z: y = z phi
    approximate: str


def gelu_forward(z, *, approximate="none"):
    """Multiply each number by the probability that a standard normal one is smaller.

    ===========  ==========================================================  =====================================
    approximate  formula                                                     written here, without cancellation, as
    ===========  ==========================================================  =====================================
    "none"       z (1 + erf(z / sqrt 2)) / 2                                 z erfc(-z / sqrt 2) / 2
    "tanh"       z (1 + tanh w) / 2, w = sqrt(2 / pi) (z + 0.044715 z^3)     z logistic(2 w)
    ===========  ==========================================================  =====================================

    Parameters
    ----------
    z : ndarray, any shape
        The tanh form cubes it: |z| up to 1e102 in float64, 1e12 in float32.
    approximate : {"none", "tanh"}

    Returns
    -------
    y : ndarray, the shape of z
    saved : GeluSaved

    Raises
    ------
    DTypeError, NonFiniteError, OptionError, NumberSystemError

    Notes
    -----
    Source: Hendrycks & Gimpel, arXiv:1606.08415, sec. 2; the option's names are PyTorch's.
    """
    checks.choice("gelu_forward", "approximate", approximate, FORMS)
    checks.alike("gelu_forward", z=z)
    phi = erfc(-z * sqrt(_half(z))) / 2 if approximate == "none" else logistic(_twice_w(z))
    return z * phi, GeluSaved(z, phi, approximate)


def gelu_backward(dy, saved):
    """Gradient of the form that the forward pass used.

    Parameters
    ----------
    dy : ndarray, the shape of z
    saved : GeluSaved

    Returns
    -------
    dz : ndarray, the shape of z

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: the product rule; the derivative of Phi is the normal density exp(-z^2 / 2) / sqrt(2 pi).
    """
    z, phi, approximate = saved
    checks.cotangent("gelu_backward", dy, z.shape, like=z)
    if approximate == "none":
        dphi = exp(-z * z / 2) * sqrt(_half(z) / pi(z))  # phi = erfc(-z / sqrt 2) / 2
    else:
        slope = _tanh_scale(z) * (1 + 3 * number(CUBIC, z) * z * z)
        dphi = phi * logistic(-_twice_w(z)) * slope  # phi = logistic(2 w), and 1 - phi = logistic(-2 w)
    return dy * (phi + z * dphi)  # y = z * phi


def _twice_w(z):
    return _tanh_scale(z) * (z + number(CUBIC, z) * z * z * z)


def _tanh_scale(z):
    return sqrt(8 / pi(z))


def _half(z):
    return number(Fraction(1, 2), z)
