"""Root-mean-square norm: one pass over each vector forward, and one backward, while it is in the cache."""

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.common import compiled, flat, floats, output, outputs, plain, shapes
from nsn_ref.kernels.sums import add
from nsn_ref.ops.rms_norm import RmsNormSaved
from nsn_ref.scalars import rows


@compiled
def rms_norm_forward_loop(x, w, eps, x_hat, scale, y):
    """Y = w x_hat, x_hat = x scale, scale = 1 / sqrt(mean(x^2) + eps)."""
    number = x.dtype.type
    for i in range(x.shape[0]):
        square = number(0)
        for j in range(w.size):
            square = add(square, x[i, j] * x[i, j])
        scale[i] = number(1) / np.sqrt(square / number(w.size) + eps)
        for j in range(w.size):
            x_hat[i, j] = x[i, j] * scale[i]
            y[i, j] = x_hat[i, j] * w[j]


@compiled
def rms_norm_backward_loop(dy, x_hat, scale, w, dx, dw):
    """Gradients of y = w x_hat; that of w is a sum over the rows."""
    number = w.dtype.type
    dw[:] = 0
    for i in range(dy.shape[0]):
        along = number(0)
        for j in range(w.size):
            dw[j] += dy[i, j] * x_hat[i, j]
        for j in range(w.size):
            along = add(along, dy[i, j] * w[j] * x_hat[i, j])
        along /= number(w.size)
        for j in range(w.size):
            dx[i, j] = scale[i] * (dy[i, j] * w[j] - x_hat[i, j] * along)


def rms_norm_forward(x, w, eps=1e-6, *, out=None):
    """As `nsn_ref.ops.rms_norm_forward`; `out` takes y."""
    name = "rms_norm_forward"
    checks.between(name, "eps", eps, 0, open_low=True)
    floats(name, x=x, w=w)
    shapes(name, w=(w, x.shape[-1:]))
    y = output(name, out, x.shape, x.dtype)
    x_hat, scale = np.empty(x.shape, x.dtype), np.empty((*x.shape[:-1], 1), x.dtype)
    rms_norm_forward_loop(plain(rows(x)), plain(w), x.dtype.type(eps), rows(x_hat), scale.reshape(-1), rows(y))
    return y, RmsNormSaved(x_hat, scale, w)


def rms_norm_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.rms_norm_backward`; `out` takes (dx, dw)."""
    name = "rms_norm_backward"
    x_hat, scale, w = saved
    floats(name, x_hat=x_hat, scale=scale, w=w, dy=dy)
    shapes(name, dy=(dy, x_hat.shape))
    dx, dw = outputs(name, out, w.dtype, x_hat.shape, w.shape)
    rms_norm_backward_loop(plain(rows(dy)), plain(rows(x_hat)), flat(scale), plain(w), rows(dx), dw)
    return dx, dw
