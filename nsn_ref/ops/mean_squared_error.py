"""Mean squared error: the mean of (y - t)^2 over all elements."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks


class MeanSquaredErrorSaved(NamedTuple):
    """What the backward pass needs."""

    residual: np.ndarray  # y - targets, in their shape
    n: int  # what the sum is divided by: the number of elements for "mean", 1 for "sum"


def mean_squared_error_forward(y, targets, *, reduction="mean"):
    """Loss of predictions against targets.

    Parameters
    ----------
    y, targets : ndarray, of one shape
    reduction : {"mean", "sum"}
        "mean" divides by the number of elements, not of rows.

    Returns
    -------
    loss : number, >= 0
    saved : MeanSquaredErrorSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError

    Notes
    -----
    Source: the L_k of arXiv:2509.17874v1, Eq. 1 (regression).
    """
    name = "mean_squared_error_forward"
    checks.choice(name, "reduction", reduction, ("mean", "sum"))
    checks.alike(name, y=y, targets=targets)
    checks.not_empty(name, "y", y)
    residual = y - targets
    n = y.size if reduction == "mean" else 1
    return (residual * residual).sum() / n, MeanSquaredErrorSaved(residual, n)


def mean_squared_error_backward(dloss, saved):
    """Gradient with respect to the predictions; targets get none.

    Parameters
    ----------
    dloss : number
        Cotangent of the loss.
    saved : MeanSquaredErrorSaved

    Returns
    -------
    dy : ndarray, the shape of y

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError
    """
    residual, n = saved
    checks.number("mean_squared_error_backward", "dloss", dloss, like=residual)
    return residual * (2 * dloss / n)  # loss = sum(residual * residual) / n
