"""Dense linear layer: two products and a bias."""

import numpy as np

from nsn_ref.kernels.bias import add_bias_loop, sum_rows_loop
from nsn_ref.kernels.common import floats, output, outputs, plain, shapes
from nsn_ref.ops.dense import DenseSaved
from nsn_ref.scalars import rows


def dense_forward(x, W, b, *, out=None):
    """As `nsn_ref.ops.dense_forward`; `out` takes y."""
    floats("dense_forward", x=x, W=W, b=b)
    d_out = W.shape[0]
    shapes("dense_forward", W=(W, (d_out, x.shape[-1])), b=(b, (d_out,)))
    y = output("dense_forward", out, (*x.shape[:-1], d_out), x.dtype)
    np.matmul(rows(x), W.T, out=rows(y))
    add_bias_loop(rows(y), plain(b))
    return y, DenseSaved(x, W)


def dense_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.dense_backward`; `out` takes (dx, dW, db)."""
    x, W = saved
    floats("dense_backward", x=x, W=W, dy=dy)
    shapes("dense_backward", dy=(dy, (*x.shape[:-1], W.shape[0])))
    dx, dW, db = outputs("dense_backward", out, x.dtype, x.shape, W.shape, W.shape[:1])
    dy = rows(dy)
    np.matmul(dy, W, out=rows(dx))  # y = x @ W.T + b
    np.matmul(dy.T, rows(x), out=dW)
    sum_rows_loop(plain(dy), db)
    return dx, dW, db
