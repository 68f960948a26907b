"""Mean squared error: residual and sum of squares in one pass."""

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.common import compiled, flat, floats, output, shapes
from nsn_ref.kernels.sums import add
from nsn_ref.ops.mean_squared_error import MeanSquaredErrorSaved


@compiled
def mean_squared_error_loop(y, targets, residual):
    """Fill the residual; returns its sum of squares, accumulated in float64."""
    total = 0.0
    for i in range(y.size):
        residual[i] = y[i] - targets[i]
        total = add(total, float(residual[i] * residual[i]))
    return total


def mean_squared_error_forward(y, targets, *, reduction="mean"):
    """As `nsn_ref.ops.mean_squared_error_forward`."""
    name = "mean_squared_error_forward"
    checks.choice(name, "reduction", reduction, ("mean", "sum"))
    floats(name, y=y, targets=targets)
    shapes(name, targets=(targets, y.shape))
    checks.not_empty(name, "y", y)
    residual = np.empty(y.shape, y.dtype)
    n = y.size if reduction == "mean" else 1
    loss = mean_squared_error_loop(flat(y), flat(targets), flat(residual)) / n
    return y.dtype.type(loss), MeanSquaredErrorSaved(residual, n)


def mean_squared_error_backward(dloss, saved, *, out=None):
    """As `nsn_ref.ops.mean_squared_error_backward`; `out` takes dy."""
    residual, n = saved
    floats("mean_squared_error_backward", residual=residual)
    dy = output("mean_squared_error_backward", out, residual.shape, residual.dtype)
    return np.multiply(residual, residual.dtype.type(2 * dloss / n), out=dy)  # loss = sum(residual * residual) / n
