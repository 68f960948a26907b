"""Optimiser steps: pure functions from (parameter, gradient, state) to the next parameter and state."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import number, sqrt


class AdamWResult(NamedTuple):
    """The parameter and the moments after one step."""

    p: np.ndarray  # the parameter
    m: np.ndarray  # first moment
    v: np.ndarray  # second moment


class SGDResult(NamedTuple):
    """The parameter and the momentum after one step."""

    p: np.ndarray  # the parameter
    m: np.ndarray  # momentum


def adamw_step(p, g, m, v, t, *, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    """One step of AdamW: Adam with bias correction, and weight decay apart from the gradient.

    Parameters
    ----------
    p, g, m, v : ndarray, all of one shape
        Parameter, gradient, first and second moment.
    t : int, >= 1
        The number of this step; the first is 1.
    lr : float, >= 0
    beta1, beta2 : float, in [0, 1)
    eps : float, > 0
        Added to the root of the corrected second moment; components above the sampled ranks have no gradient, and
        without it their first step would be 0 / 0.
    weight_decay : float, >= 0
        The parameter is scaled by 1 - lr weight_decay before the update.

    Returns
    -------
    AdamWResult

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError

    Notes
    -----
    Source: Loshchilov & Hutter, arXiv:1711.05101, Algorithm 2 (with the decay scaled by lr, as is common).
    """
    checks.alike("adamw_step", p=p, g=g, m=m, v=v)
    checks.integer("adamw_step", "t", t, 1)
    for name, beta in (("beta1", beta1), ("beta2", beta2)):
        checks.between("adamw_step", name, beta, 0, 1, open_high=True)
    checks.between("adamw_step", "eps", eps, 0, open_low=True)
    for name, value in (("lr", lr), ("weight_decay", weight_decay)):
        checks.between("adamw_step", name, value, 0)
    lr, beta1, beta2, eps, weight_decay = (number(c, like=p) for c in (lr, beta1, beta2, eps, weight_decay))
    t = int(t)  # a power with a NumPy exponent is a float64, which would widen float32 arrays
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    p = p - lr * weight_decay * p - lr * m_hat / (sqrt(v_hat) + eps)
    return AdamWResult(p, m, v)


def sgd_step(p, g, m, *, lr, momentum=0.0, weight_decay=0.0):
    """One step of gradient descent with momentum; weight decay is added to the gradient.

    Parameters
    ----------
    p, g, m : ndarray, all of one shape
        Parameter, gradient, momentum (zero at the start).
    lr : float, >= 0
    momentum : float, in [0, 1)
    weight_decay : float, >= 0

    Returns
    -------
    SGDResult

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError

    Notes
    -----
    Source: Sutskever et al., ICML 2013, in the form m <- momentum m + g, p <- p - lr m.
    """
    checks.alike("sgd_step", p=p, g=g, m=m)
    for name, value in (("lr", lr), ("weight_decay", weight_decay)):
        checks.between("sgd_step", name, value, 0)
    checks.between("sgd_step", "momentum", momentum, 0, 1, open_high=True)
    lr, momentum, weight_decay = (number(c, like=p) for c in (lr, momentum, weight_decay))
    m = momentum * m + (g + weight_decay * p)
    return SGDResult(p - lr * m, m)
