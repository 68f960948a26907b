"""Residual orthogonality: products of the rows that a rank uses with those that it omits."""

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.common import flat, floats, output
from nsn_ref.kernels.sums import sum_of_squares
from nsn_ref.ops.residual_orthogonality import ResidualOrthogonalitySaved


def residual_orthogonality_forward(A, rank, anchor):
    """As `nsn_ref.ops.residual_orthogonality_forward`."""
    name = "residual_orthogonality_forward"
    floats(name, A=A)
    checks.axes(name, A=(A, "R d_in"))
    checks.not_empty(name, "A", A)
    checks.rank(name, anchor, len(A), name="anchor")
    checks.rank(name, rank, anchor - 1)
    overlap = np.matmul(A[:rank], A[rank:anchor].T)
    return A.dtype.type(sum_of_squares(flat(overlap))), ResidualOrthogonalitySaved(A, overlap)


def residual_orthogonality_backward(dpenalty, saved, *, out=None):
    """As `nsn_ref.ops.residual_orthogonality_backward`; `out` takes dA."""
    name = "residual_orthogonality_backward"
    A, overlap = saved
    floats(name, A=A, overlap=overlap)
    dA = output(name, out, A.shape, A.dtype)
    rank, anchor = overlap.shape[0], sum(overlap.shape)
    doverlap = overlap * A.dtype.type(2 * dpenalty)  # penalty = (overlap * overlap).sum()
    np.matmul(doverlap, A[rank:anchor], out=dA[:rank])  # overlap = A[:rank] @ A[rank:anchor].T
    np.matmul(doverlap.T, A[:rank], out=dA[rank:anchor])
    dA[anchor:] = 0
    return dA
