"""Nested linear layer at one rank: products of prefix views, which BLAS reads and writes in place."""

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.bias import add_bias_loop, sum_rows_loop
from nsn_ref.kernels.common import floats, linear, output, outputs, plain, shapes
from nsn_ref.ops.nested_linear import NestedLinearSaved
from nsn_ref.scalars import rows


def nested_linear_forward(x, A, B, b, rank, *, out=None):
    """As `nsn_ref.ops.nested_linear_forward`; `out` takes y."""
    linear("nested_linear_forward", x, A, B, b)
    checks.rank("nested_linear_forward", rank, A.shape[0])
    y = output("nested_linear_forward", out, (*x.shape[:-1], B.shape[0]), x.dtype)
    h = np.matmul(rows(x), A[:rank].T)
    np.matmul(h, B[:, :rank].T, out=rows(y))
    add_bias_loop(rows(y), plain(b))
    return y, NestedLinearSaved(x, A, B, h.reshape(*x.shape[:-1], rank))


def nested_linear_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.nested_linear_backward`; `out` takes (dx, dA, dB, db)."""
    x, A, B, h = saved
    floats("nested_linear_backward", x=x, A=A, B=B, h=h, dy=dy)
    shapes("nested_linear_backward", dy=(dy, (*x.shape[:-1], B.shape[0])))
    dx, dA, dB, db = outputs("nested_linear_backward", out, x.dtype, x.shape, A.shape, B.shape, B.shape[:1])
    rank, dy = h.shape[-1], rows(dy)
    dh = np.matmul(dy, B[:, :rank])  # y = h @ B[:, :rank].T + b
    np.matmul(dy.T, rows(h), out=dB[:, :rank])
    sum_rows_loop(plain(dy), db)
    np.matmul(dh, A[:rank], out=rows(dx))  # h = x @ A[:rank].T
    np.matmul(dh.T, rows(x), out=dA[:rank])
    dA[rank:] = 0
    dB[:, rank:] = 0
    return dx, dA, dB, db
