"""Passes through a linear layer at K ranks: a member's rows forward and back, and a member's part of the weights.

Of its R components a layer uses the first ``used(ranks, k, R)`` at rank k. Those between ``used(k + 1)`` and
``used(k)`` serve the first k + 1 ranks and no other: one product over the rows of these ranks, which lie together. In
the layer whose input the ranks still share, h and z have the rows of the batch once: forward, y of a rank is that of
the next smaller one plus a block (prefix sums); backward, a block sees the sum of dy over the ranks that it serves
(suffix sums). A convolution has so many rows that products gain nothing from more of them, but much from more
components: there each rank goes by itself. `part_of` tells these cases apart.
"""

from typing import NamedTuple

import numpy as np

from nsn_ref.kernels.common import compiled
from nsn_ref.kernels.step.blas import multiply
from nsn_ref.kernels.step.layout import BIAS, D_IN, D_OUT, DY, DZ, FIRST, KERNEL, POSITIONS, SECOND, SHARES, H, R, Y, Z
from nsn_ref.kernels.step.team import rows_of, share

UNIT = 16  # columns that a member takes at a time: a cache line of float32, and the width of BLAS's own blocks


class Space(NamedTuple):
    """The flat buffers, and what multiplies."""

    p: np.ndarray  # (1 or members, size): parameters; the first are the result
    g: np.ndarray  # (1 or members, size): their gradients; the first are the result
    w: np.ndarray  # (members, size): intermediates
    gemm: int  # address


class Own(NamedTuple):
    """What a member goes forward and back with."""

    p: np.ndarray  # parameters
    w: np.ndarray  # intermediates
    gemm: int


@compiled
def own(space, me):
    """The buffers of one member."""
    return Own(space.p[min(me, len(space.p) - 1)], space.w[me], space.gemm)


@compiled
def used(ranks, k, R):
    """Components that a layer of R uses at rank k, counted from 0; none beyond the last rank."""
    return min(ranks[k], R) if k < ranks.size else 0


@compiled
def part_of(layer, ranks, k, n):
    """The k-th product of a layer, of whose rows n belong to each rank.

    Its first row of h and z, its first row of y, how many rows, its first component, and the last + 1.
    """
    low, high = used(ranks, k + 1, layer[R]), used(ranks, k, layer[R])
    if layer[SHARES]:
        return 0, n * k, n, low, high
    if layer[KERNEL] > 0:
        return n * k, n * k, n, 0, high
    return 0, 0, n * (k + 1), low, high


@compiled
def at(buffer, offset, stride):
    """A matrix in a flat buffer, as `multiply` takes it."""
    return buffer.ctypes.data + buffer.itemsize * offset, stride, buffer.itemsize


@compiled
def view(buffer, offset, rows, columns):
    """A matrix in a flat buffer, as an array."""
    return buffer[offset : offset + rows * columns].reshape(rows, columns)


@compiled
def dense_forward(mine, layer, rows):
    """y = h W^T."""
    p, w = mine.p, mine.w
    d_in, d_out, zero = layer[D_IN], layer[D_OUT], w.dtype.type(0)
    h, W, y = at(w, layer[H], d_in), at(p, layer[FIRST], d_in), at(w, layer[Y], d_out)
    multiply(mine.gemm, h, False, W, True, y, (rows, d_out, d_in), zero)


@compiled
def dense_backward(mine, layer, rows, dh):
    """dh = dy W."""
    p, w = mine.p, mine.w
    d_in, d_out, zero = layer[D_IN], layer[D_OUT], w.dtype.type(0)
    dy, W = at(w, layer[DY], d_out), at(p, layer[FIRST], d_in)
    multiply(mine.gemm, dy, False, W, False, at(w, dh, d_in), (rows, d_in, d_out), zero)  # y = h @ W.T


@compiled
def nested_forward(mine, layer, ranks, n):
    """z = h A^T, y = z B^T; B lies transposed."""
    p, w = mine.p, mine.w
    d_in, d_out, size, shared = layer[D_IN], layer[D_OUT], layer[R], layer[SHARES] == 1
    zero, one = w.dtype.type(0), w.dtype.type(1)
    for k in range(ranks.size):
        first, _, rows, low, high = part_of(layer, ranks, k, n)
        h, z = at(w, layer[H] + first * d_in, d_in), at(w, layer[Z] + first * size + low, size)
        A = at(p, layer[FIRST] + low * d_in, d_in)
        multiply(mine.gemm, h, False, A, True, z, (rows, high - low, d_in), zero)
    for k in range(ranks.size - 1, -1, -1):
        first, y_first, rows, low, high = part_of(layer, ranks, k, n)
        start = layer[Y] + y_first * d_out
        if shared and low > 0:
            copy(w[start + n * d_out : start + 2 * n * d_out], w[start : start + n * d_out])
        z, B = at(w, layer[Z] + first * size + low, size), at(p, layer[SECOND] + low * d_out, d_out)
        y, beta = at(w, start, d_out), one if low > 0 else zero
        multiply(mine.gemm, z, False, B, False, y, (rows, d_out, high - low), beta)


@compiled
def nested_backward(mine, layer, ranks, n, dh):
    """dz = dy B, and dh = dz A unless the offset `dh` is negative; where ranks share h, dy becomes its suffix sums."""
    p, w = mine.p, mine.w
    d_in, d_out, size, shared = layer[D_IN], layer[D_OUT], layer[R], layer[SHARES] == 1
    zero, one, block = w.dtype.type(0), w.dtype.type(1), n * layer[D_OUT]
    for k in range(ranks.size):
        first, y_first, rows, low, high = part_of(layer, ranks, k, n)
        start = layer[DY] + y_first * d_out
        if shared and k > 0:
            add(w[start - block : start], w[start : start + block])
        dz, B = at(w, layer[DZ] + first * size + low, size), at(p, layer[SECOND] + low * d_out, d_out)
        multiply(mine.gemm, at(w, start, d_out), False, B, True, dz, (rows, high - low, d_out), zero)  # y += z @ B
    if dh < 0:
        return
    for k in range(ranks.size - 1, -1, -1):
        first, _, rows, low, high = part_of(layer, ranks, k, n)
        dz, A = at(w, layer[DZ] + first * size + low, size), at(p, layer[FIRST] + low * d_in, d_in)
        to, beta = at(w, dh + first * d_in, d_in), one if low > 0 else zero
        multiply(mine.gemm, dz, False, A, False, to, (rows, d_in, high - low), beta)  # z = h @ A.T


@compiled
def dense_weights(member, space, layer, stacked, batch, fresh):
    """A member's part of dW and db, which sum over the rows of all members: those of the batch `stacked` times.

    Unless it is `fresh`, what is there is added to.
    """
    d_in, d_out, zero, one = layer[D_IN], layer[D_OUT], space.p.dtype.type(0), space.p.dtype.type(1)
    for other in range(member.threads):
        w, rows = space.w[other], stacked * rows_of(other, member.threads, batch) * layer[POSITIONS]
        dy, h, dW = at(w, layer[DY], d_out), at(w, layer[H], d_in), at(space.g[0], layer[FIRST], d_in)
        beta = zero if fresh and other == 0 else one
        multiply_part(member, space.gemm, dy, h, dW, (d_out, d_in, rows), beta)  # y = h @ W.T
    bias_part(member, space, layer, 0, stacked, batch, fresh)


@compiled
def nested_weights(member, space, layer, ranks, batch, fresh):
    """A member's part of dA, dB and db, as `dense_weights`; components that no rank uses have none."""
    d_in, d_out, size, shared = layer[D_IN], layer[D_OUT], layer[R], layer[SHARES] == 1
    zero, one, g = space.p.dtype.type(0), space.p.dtype.type(1), space.g[0]
    if fresh and member.me == 0:
        unused = used(ranks, 0, size)
        view(g, layer[FIRST], size, d_in)[unused:] = 0
        view(g, layer[SECOND], size, d_out)[unused:] = 0
    for other in range(member.threads):
        w, n = space.w[other], rows_of(other, member.threads, batch) * layer[POSITIONS]
        for k in range(ranks.size):
            first, y_first, rows, low, high = part_of(layer, ranks, k, n)
            beta = zero if fresh and other == 0 and first == 0 else one  # the rows before have been there
            dy, h = at(w, layer[DY] + y_first * d_out, d_out), at(w, layer[H] + first * d_in, d_in)
            z, dz = at(w, layer[Z] + first * size + low, size), at(w, layer[DZ] + first * size + low, size)
            dB, dA = at(g, layer[SECOND] + low * d_out, d_out), at(g, layer[FIRST] + low * d_in, d_in)
            multiply_part(member, space.gemm, z, dy, dB, (high - low, d_out, rows), beta)  # y += z @ B
            multiply_part(member, space.gemm, dz, h, dA, (high - low, d_in, rows), beta)  # z = h @ A.T
    first_block = ranks.size - 1 if shared else 0  # the last suffix sum is the whole sum
    bias_part(member, space, layer, first_block, ranks.size, batch, fresh)


@compiled
def multiply_part(member, gemm, a, b, c, sizes, beta):
    """A member's part, cut across the longer side, of C = A^T B + beta C."""
    (m, n, k), (a, stride_a, size), (b, stride_b, _), (c, stride_c, _) = sizes, a, b, c
    if m >= n:
        first, last = share(member, m, UNIT)
        a, c, m = a + size * first, c + size * first * stride_c, last - first
    else:
        first, last = share(member, n, UNIT)
        b, c, n = b + size * first, c + size * first, last - first
    multiply(gemm, (a, stride_a, size), True, (b, stride_b, size), False, (c, stride_c, size), (m, n, k), beta)


@compiled
def bias_part(member, space, layer, first_block, blocks, batch, fresh):
    """A member's part of db: the sum over the rows of all members in the blocks from `first_block` on."""
    first, last = share(member, layer[D_OUT], UNIT)
    db = space.g[0, layer[BIAS] + first : layer[BIAS] + last]
    if fresh:
        db[:] = 0
    for other in range(member.threads):
        n = rows_of(other, member.threads, batch) * layer[POSITIONS]
        dys = view(space.w[other], layer[DY], n * blocks, layer[D_OUT])
        for i in range(n * first_block, n * blocks):
            add(dys[i, first:last], db)


# The loops below run over whole rows: an index that might be negative keeps the compiler from vectorising.


@compiled
def copy(source, target):
    """target = source."""
    for i in range(target.size):
        target[i] = source[i]


@compiled
def add(source, target):
    """target += source."""
    for i in range(target.size):
        target[i] += source[i]


@compiled
def bias_relu(ys, b):
    """y = max(y + b, 0), row by row; NaN stays NaN."""
    zero = ys.dtype.type(0)
    for i in range(ys.shape[0]):
        y = ys[i]
        for j in range(y.size):
            y_j = y[j] + b[j]
            y[j] = zero if y_j <= zero else y_j


@compiled
def relu_backward(y, dy):
    """dy where y > 0, else 0."""
    zero = y.dtype.type(0)
    for i in range(y.size):
        dy[i] = zero if y[i] <= zero else dy[i]
