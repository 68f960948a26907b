"""One member's part of the passes through a linear layer, forward and backward, at K ranks.

Rows are stacked rank by rank from the largest down. Of its R components a layer uses the first ``used(ranks, k, R)``
at rank k; those between ``used(k + 1)`` and ``used(k)`` serve the first k + 1 ranks and no other: one product over the
rows of these ranks, which lie together. In the layer whose input the ranks still share, h and z have the rows of the
batch once: forward, y of a rank is that of the next smaller one plus a block (prefix sums); backward, a block sees the
sum of dy over the ranks that it serves (suffix sums).
"""

from typing import NamedTuple

import numpy as np

from nsn_ref.kernels.common import compiled
from nsn_ref.kernels.step.blas import multiply
from nsn_ref.kernels.step.layout import D_IN, D_OUT, FIRST, SECOND, SHARES, D, H, R, Y, Z
from nsn_ref.kernels.step.team import barrier, share

UNIT = 16  # columns that a member takes at a time: a cache line of float32, and the width of BLAS's own blocks


class Space(NamedTuple):
    """The flat buffers, and what multiplies."""

    p: np.ndarray  # parameters
    g: np.ndarray  # their gradients
    w: np.ndarray  # intermediates
    gemm: int  # address


@compiled
def used(ranks, k, R):
    """Components that a layer of R uses at rank k, counted from 0; none beyond the last rank."""
    return min(ranks[k], R) if k < ranks.size else 0


@compiled
def at(buffer, offset, stride):
    """A matrix in a flat buffer, as `multiply` takes it."""
    return buffer.ctypes.data + buffer.itemsize * offset, stride, buffer.itemsize


@compiled
def view(buffer, offset, rows, columns):
    """A matrix in a flat buffer, as an array."""
    return buffer[offset : offset + rows * columns].reshape(rows, columns)


@compiled
def longer_part(member, rows, columns):
    """A member's (rows, columns) of a product that is split along its longer side."""
    if rows >= columns:
        return share(member, rows, UNIT), (0, columns)
    return (0, rows), share(member, columns, UNIT)


@compiled
def dense_forward(member, space, layer, rows):
    """y = h W^T; a barrier after it."""
    d_in, d_out, zero = layer[D_IN], layer[D_OUT], space.p.dtype.type(0)
    h, W, y = at(space.w, layer[H], d_in), at(space.p, layer[FIRST], d_in), at(space.w, layer[Y], d_out)
    part = longer_part(member, rows, d_out)
    multiply(space.gemm, h, False, W, True, y, part[0], part[1], d_in, zero)
    barrier(member)


@compiled
def dense_backward(member, space, layer, rows, dh):
    """dW = d^T h, and dh = d W in the member's columns unless the offset `dh` is negative. Before: own columns of d."""
    barrier(member)
    d_in, d_out, zero = layer[D_IN], layer[D_OUT], space.p.dtype.type(0)
    d, h = at(space.w, layer[D], d_out), at(space.w, layer[H], d_in)
    dW, W = at(space.g, layer[FIRST], d_in), at(space.p, layer[FIRST], d_in)
    columns = share(member, d_in, UNIT)
    multiply(space.gemm, d, True, h, False, dW, (0, d_out), columns, rows, zero)
    if dh >= 0:
        multiply(space.gemm, d, False, W, False, at(space.w, dh, d_in), (0, rows), columns, d_out, zero)


@compiled
def nested_forward(member, space, layer, ranks, n):
    """z = h A^T, y = z B^T; the member returns with its own columns of y."""
    w, d_in, d_out, size = space.w, layer[D_IN], layer[D_OUT], layer[R]
    zero, one, shared = w.dtype.type(0), w.dtype.type(1), layer[SHARES] == 1
    h, z, A = at(w, layer[H], d_in), at(w, layer[Z], size), at(space.p, layer[FIRST], d_in)
    for k in range(ranks.size):
        low, high = used(ranks, k + 1, size), used(ranks, k, size)
        rows, columns = longer_part(member, n if shared else n * (k + 1), high - low)
        columns = (low + columns[0], low + columns[1])
        multiply(space.gemm, h, False, A, True, z, rows, columns, d_in, zero)
    barrier(member)
    columns, ys = share(member, d_out, UNIT), view(w, layer[Y], n * ranks.size, d_out)
    for k in range(ranks.size - 1, -1, -1):
        low, high = used(ranks, k + 1, size), used(ranks, k, size)
        if shared and low > 0:
            copy_block(ys, n * k, n, columns)
        y = at(w, layer[Y] + (n * k * d_out if shared else 0), d_out)
        block, B = at(w, layer[Z] + low, size), at(space.p, layer[SECOND] + low, size)
        rows = n if shared else n * (k + 1)
        if low < high:
            multiply(space.gemm, block, False, B, True, y, (0, rows), columns, high - low, one if low > 0 else zero)


@compiled
def nested_backward(member, space, layer, ranks, n, dz, dh):
    """As `dense_backward`: dz = d B and dB = d^T z; dA = dz^T h and dh = dz A."""
    w, d_in, d_out, size = space.w, layer[D_IN], layer[D_OUT], layer[R]
    zero, one, shared = w.dtype.type(0), w.dtype.type(1), layer[SHARES] == 1
    if shared:
        sum_blocks(view(w, layer[D], n * ranks.size, d_out), n, share(member, d_out, UNIT))
    barrier(member)
    for k in range(ranks.size):
        low, high = used(ranks, k + 1, size), used(ranks, k, size)
        rows, d = n if shared else n * (k + 1), at(w, layer[D] + (n * k * d_out if shared else 0), d_out)
        B, dB = at(space.p, layer[SECOND] + low, size), at(space.g, layer[SECOND] + low, size)
        part = longer_part(member, rows, high - low)
        multiply(space.gemm, d, False, B, False, at(w, dz + low, size), part[0], part[1], d_out, zero)
        mine = share(member, d_out, UNIT)
        multiply(space.gemm, d, True, at(w, layer[Z] + low, size), False, dB, mine, (0, high - low), rows, zero)
    barrier(member)
    columns = share(member, d_in, UNIT)
    for k in range(ranks.size - 1, -1, -1):
        low, high = used(ranks, k + 1, size), used(ranks, k, size)
        rows, block = n if shared else n * (k + 1), at(w, dz + low, size)
        A, dA = at(space.p, layer[FIRST] + low * d_in, d_in), at(space.g, layer[FIRST] + low * d_in, d_in)
        multiply(space.gemm, block, True, at(w, layer[H], d_in), False, dA, (0, high - low), columns, rows, zero)
        if dh >= 0 and low < high:
            beta = one if low > 0 else zero
            multiply(space.gemm, block, False, A, False, at(w, dh, d_in), (0, rows), columns, high - low, beta)


@compiled
def copy_block(ys, start, n, columns):
    """The next n rows over those from `start`."""
    for i in range(start, start + n):
        for j in range(columns[0], columns[1]):
            ys[i, j] = ys[i + n, j]


@compiled
def sum_blocks(d, n, columns):
    """Each block of n rows plus all before it."""
    for i in range(n, d.shape[0]):
        for j in range(columns[0], columns[1]):
            d[i, j] += d[i - n, j]


@compiled
def bias_relu(y, b, columns):
    """y = max(y + b, 0) in the given columns; NaN stays NaN."""
    zero = y.dtype.type(0)
    for i in range(y.shape[0]):
        for j in range(columns[0], columns[1]):
            y_ij = y[i, j] + b[j]
            y[i, j] = zero if y_ij <= zero else y_ij


@compiled
def relu_bias_backward(d, y, db, columns):
    """d where y > 0, else 0, in the given columns, and its sum over the rows."""
    zero = d.dtype.type(0)
    for j in range(columns[0], columns[1]):
        db[j] = zero
    for i in range(d.shape[0]):
        for j in range(columns[0], columns[1]):
            d_ij = zero if y[i, j] <= zero else d[i, j]
            d[i, j] = d_ij
            db[j] += d_ij


@compiled
def bias_backward(d, db, columns):
    """The sum over the rows, in the given columns."""
    for j in range(columns[0], columns[1]):
        db[j] = 0
    for i in range(d.shape[0]):
        for j in range(columns[0], columns[1]):
            db[j] += d[i, j]
