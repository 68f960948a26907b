"""Layer norm: one pass over each vector forward, and one backward, while it is in the cache."""

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.common import compiled, flat, floats, output, outputs, plain, shapes
from nsn_ref.kernels.sums import add
from nsn_ref.ops.layer_norm import LayerNormSaved
from nsn_ref.scalars import rows


@compiled
def layer_norm_forward_loop(x, w, b, eps, x_hat, scale, y):
    """Y = w x_hat + b, x_hat = (x - mean) scale, scale = 1 / sqrt(variance + eps)."""
    number = x.dtype.type
    d = number(w.size)
    for i in range(x.shape[0]):
        total, square = number(0), number(0)
        for j in range(w.size):
            total = add(total, x[i, j])
        mean = total / d
        for j in range(w.size):
            x_hat[i, j] = x[i, j] - mean
            square = add(square, x_hat[i, j] * x_hat[i, j])
        scale[i] = number(1) / np.sqrt(square / d + eps)
        for j in range(w.size):
            x_hat[i, j] *= scale[i]
            y[i, j] = x_hat[i, j] * w[j] + b[j]


@compiled
def layer_norm_backward_loop(dy, x_hat, scale, w, dx, dw, db):
    """Gradients of y = w x_hat + b; those of w and b are sums over the rows."""
    number = w.dtype.type
    d = number(w.size)
    dw[:] = 0
    db[:] = 0
    for i in range(dy.shape[0]):
        mean, along = number(0), number(0)
        for j in range(w.size):
            dw[j] += dy[i, j] * x_hat[i, j]
            db[j] += dy[i, j]
        for j in range(w.size):
            dx_hat = dy[i, j] * w[j]
            mean, along = add(mean, dx_hat), add(along, dx_hat * x_hat[i, j])
        mean, along = mean / d, along / d
        for j in range(w.size):
            dx[i, j] = scale[i] * (dy[i, j] * w[j] - mean - x_hat[i, j] * along)


def layer_norm_forward(x, w, b, eps=1e-5, *, out=None):
    """As `nsn_ref.ops.layer_norm_forward`; `out` takes y."""
    name = "layer_norm_forward"
    checks.between(name, "eps", eps, 0, open_low=True)
    floats(name, x=x, w=w, b=b)
    shapes(name, w=(w, x.shape[-1:]), b=(b, x.shape[-1:]))
    y = output(name, out, x.shape, x.dtype)
    x_hat, scale = np.empty(x.shape, x.dtype), np.empty((*x.shape[:-1], 1), x.dtype)
    layer_norm_forward_loop(
        plain(rows(x)), plain(w), plain(b), x.dtype.type(eps), rows(x_hat), scale.reshape(-1), rows(y)
    )
    return y, LayerNormSaved(x_hat, scale, w)


def layer_norm_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.layer_norm_backward`; `out` takes (dx, dw, db)."""
    name = "layer_norm_backward"
    x_hat, scale, w = saved
    floats(name, x_hat=x_hat, scale=scale, w=w, dy=dy)
    shapes(name, dy=(dy, x_hat.shape))
    dx, dw, db = outputs(name, out, w.dtype, x_hat.shape, w.shape, w.shape)
    layer_norm_backward_loop(plain(rows(dy)), plain(rows(x_hat)), flat(scale), plain(w), rows(dx), dw, db)
    return dx, dw, db
