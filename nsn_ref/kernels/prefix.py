"""The prefix sums of a nested layer's components: K outputs, each the one before it and some components more.

Few components between two ranks are added by a loop that reads each output while it is in the cache; many are one
product. Outputs that no cache holds are written past it.
"""

import numpy as np

from nsn_ref.kernels.common import compiled
from nsn_ref.kernels.streaming import before_first_line, finish_writing, stream

BLOCK = 1 << 12  # numbers of one output that are written before those of the next: what the first-level cache holds
NARROW = 4  # components between two ranks, on average, below which one pass over the outputs beats a product for each
LARGE = 1 << 24  # bytes of all outputs from which on they are written past the cache


@compiled
def add_components_loop(h, columns, start, rank, first, y):
    """Y += the components start..rank of the rows of h from `first` on."""
    for i in range(y.shape[0]):
        for c in range(start, rank):
            factor = h[first + i, c]
            for j in range(y.shape[1]):
                y[i, j] += factor * columns[c, j]


@compiled
def continue_loop(before, h, columns, start, rank, first, y):
    """Y = before, another array, + the components start..rank of the rows of h from `first` on."""
    if start == rank:
        y[:] = before
        return
    for i in range(y.shape[0]):
        factor = h[first + i, start]
        for j in range(y.shape[1]):
            y[i, j] = before[i, j] + factor * columns[start, j]
    add_components_loop(h, columns, start + 1, rank, first, y)


@compiled
def prefix_loop(y, h, columns, start, ranks, order, ys):
    """Ys[k] = y + the components start..ranks[k] of h, some rows at a time; `order` sorts the ranks."""
    some = max(1, BLOCK // max(1, y.shape[1]))
    for first in range(0, y.shape[0], some):
        last = min(first + some, y.shape[0])
        before, done = y[first:last], start
        for k in order:
            continue_loop(before, h, columns, done, ranks[k], first, ys[k, first:last])
            before, done = ys[k, first:last], ranks[k]


@compiled
def streaming_prefix_loop(y, h, columns, start, ranks, order, ys):
    """As `prefix_loop`; the sums stay in the cache, and what is written does not come into it."""
    n, d_out = y.shape
    some = max(1, BLOCK // max(1, d_out))
    buffer, out = np.empty((some, d_out), y.dtype), ys.reshape(-1)
    lead = before_first_line(out)
    for first in range(0, n, some):
        sums, done = buffer[: min(some, n - first)], start
        sums[:] = y[first : first + some]
        flat = sums.reshape(-1)
        for k in order:
            add_components_loop(h, columns, done, ranks[k], first, sums)
            stream(flat, out, (k * n + first) * d_out, lead)
            done = ranks[k]
    finish_writing()


def prefix_sums(y, h, columns, start, ranks, ys):
    """Fill ys with the outputs at `ranks`, from y, the output at rank `start`.

    Parameters
    ----------
    y : ndarray, shape (n, d_out)
    h : ndarray, shape (n, top)
    columns : ndarray, shape (R, d_out)
        The columns of B as rows; contiguous, if it is used more than once.
    start : int
    ranks : ndarray of K ints, each in start..top
        In any order, duplicates allowed.
    ys : ndarray, shape (K, n, d_out)
        Contiguous.
    """
    order = np.argsort(ranks, kind="stable")
    top = ranks[order[-1]]
    if top - start >= NARROW * ranks.size:
        _add_products(y, h, columns, start, ranks, order, ys)
    else:
        loop = streaming_prefix_loop if ys.nbytes >= LARGE else prefix_loop
        loop(np.ascontiguousarray(y), h, np.ascontiguousarray(columns[:top]), start, ranks, order, ys)


def _add_products(before, h, columns, start, ranks, order, ys):
    """As `prefix_loop`; the components between two ranks are one product."""
    for k in order:
        if start < ranks[k]:
            np.matmul(h[:, start : ranks[k]], columns[start : ranks[k]], out=ys[k])
            np.add(ys[k], before, out=ys[k])
        else:
            ys[k] = before
        before, start = ys[k], ranks[k]
