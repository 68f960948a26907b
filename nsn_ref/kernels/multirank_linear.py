"""Nested linear layer at K ranks in one pass: prefix sums forward, suffix sums backward."""

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.bias import sum_rows_loop
from nsn_ref.kernels.common import floats, linear, output, outputs, shapes
from nsn_ref.kernels.prefix import prefix_sums
from nsn_ref.ops.multirank_linear import MultirankLinearSaved
from nsn_ref.scalars import rows


def multirank_linear_forward(x, A, B, b, ranks, *, out=None):
    """As `nsn_ref.ops.multirank_linear_forward`; `out` takes ys."""
    linear("multirank_linear_forward", x, A, B, b)
    checks.ranks("multirank_linear_forward", ranks, A.shape[0])
    at = np.array(ranks, np.int64)
    top = int(at.max())
    ys = output("multirank_linear_forward", out, (len(ranks), *x.shape[:-1], B.shape[0]), x.dtype)
    h = np.matmul(rows(x), A[:top].T)
    bias = np.empty((len(h), len(b)), x.dtype)
    bias[:] = b
    prefix_sums(bias, h, B.T, 0, at, ys.reshape(len(ranks), *bias.shape))
    return ys, MultirankLinearSaved(x, A, B, h.reshape(*x.shape[:-1], top), tuple(ranks))


def multirank_linear_backward(dys, saved, *, out=None):
    """As `nsn_ref.ops.multirank_linear_backward`; `out` takes (dx, dA, dB, db)."""
    x, A, B, h, ranks = saved
    floats("multirank_linear_backward", x=x, A=A, B=B, h=h, dys=dys)
    shapes("multirank_linear_backward", dys=(dys, (len(ranks), *x.shape[:-1], B.shape[0])))
    dx, dA, dB, db = outputs("multirank_linear_backward", out, x.dtype, x.shape, A.shape, B.shape, B.shape[:1])
    top, h = h.shape[-1], rows(h)
    dh, dy = np.empty_like(h), np.zeros((h.shape[0], B.shape[0]), x.dtype)
    descending = [*np.argsort(ranks, kind="stable")[::-1]]
    for k, below in zip(descending, [*descending[1:], None], strict=True):
        dy += rows(dys[k])
        start, r = 0 if below is None else ranks[below], ranks[k]
        if start < r:  # these components serve every rank >= r
            np.matmul(dy, B[:, start:r], out=dh[:, start:r])  # y = y + h[:, start:r] @ B[:, start:r].T
            np.matmul(dy.T, h[:, start:r], out=dB[:, start:r])
    sum_rows_loop(dy, db)  # y starts at b
    np.matmul(dh, A[:top], out=rows(dx))  # h = x @ A[:top].T
    np.matmul(dh.T, rows(x), out=dA[:top])
    dA[top:] = 0
    dB[:, top:] = 0
    return dx, dA, dB, db
