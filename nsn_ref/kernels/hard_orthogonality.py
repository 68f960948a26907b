"""Hard orthogonality: one product each way; the identity is taken off while the squares are summed."""

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.common import compiled, floats, output, shapes
from nsn_ref.kernels.sums import add
from nsn_ref.ops.hard_orthogonality import HardOrthogonalitySaved


@compiled
def minus_identity_loop(gap):
    """Subtract the identity; returns the sum of squares, accumulated in float64."""
    total = 0.0
    for i in range(gap.shape[0]):
        gap[i, i] -= gap.dtype.type(1)
        for j in range(gap.shape[1]):
            total = add(total, float(gap[i, j] * gap[i, j]))
    return total


def hard_orthogonality_forward(A):
    """As `nsn_ref.ops.hard_orthogonality_forward`."""
    name = "hard_orthogonality_forward"
    floats(name, A=A)
    checks.axes(name, A=(A, "R d_in"))
    checks.not_empty(name, "A", A)
    gap = np.matmul(A, A.T)
    return A.dtype.type(minus_identity_loop(gap)), HardOrthogonalitySaved(A, gap)


def hard_orthogonality_backward(dpenalty, saved, *, out=None):
    """As `nsn_ref.ops.hard_orthogonality_backward`; `out` takes dA."""
    name = "hard_orthogonality_backward"
    A, gap = saved
    floats(name, A=A, gap=gap)
    shapes(name, gap=(gap, (len(A), len(A))))
    dA = output(name, out, A.shape, A.dtype)
    np.matmul(gap, A, out=dA)  # gap = A @ A.T - I, which is symmetric
    return np.multiply(dA, A.dtype.type(4 * dpenalty), out=dA)  # penalty = (gap * gap).sum()
