"""The prefix sums of a nested layer's components, each output read from the one before while it is in the cache."""

import numpy as np

from nsn_ref.kernels.common import compiled

BLOCK = 1 << 15  # numbers of one output that are written before those of the next
NARROW = 4  # components between two ranks, on average, below which one pass over the outputs beats a product for each


@compiled
def add_components_loop(before, h, columns, start, rank, first, last, y):
    """Y = before + the components start..rank of h, for the rows first..last."""
    for i in range(first, last):
        if start == rank:
            y[i] = before[i]
            continue
        factor = h[i, start]
        for j in range(y.shape[1]):
            y[i, j] = before[i, j] + factor * columns[start, j]
        for c in range(start + 1, rank):
            factor = h[i, c]
            for j in range(y.shape[1]):
                y[i, j] += factor * columns[c, j]


@compiled
def prefix_loop(y, h, columns, start, ranks, order, ys):
    """Ys[k] = y + the components start..ranks[k] of h; `order` sorts the ranks."""
    block = max(1, BLOCK // max(1, y.shape[1]))
    for first in range(0, y.shape[0], block):
        last = min(first + block, y.shape[0])
        before, done = y, start
        for k in order:
            add_components_loop(before, h, columns, done, ranks[k], first, last, ys[k])
            before, done = ys[k], ranks[k]


def prefix_sums(y, h, columns, start, ranks, ys):
    """Fill ys with the outputs at `ranks`, from y, the output at rank `start`.

    Parameters
    ----------
    y : ndarray, shape (n, d_out)
    h : ndarray, shape (n, top)
    columns : ndarray, shape (R, d_out)
        The columns of B as rows; contiguous, if it is used more than once.
    start : int
    ranks : sequence of K ints, each in start..top
        In any order, duplicates allowed.
    ys : ndarray, shape (K, n, d_out)
        Contiguous.
    """
    ranks = np.asarray(ranks, np.int64)
    order, top = np.argsort(ranks, kind="stable"), ranks.max()
    if top - start >= NARROW * ranks.size:
        _add_products(y, h, columns, start, ranks, order, ys)
    else:
        prefix_loop(np.ascontiguousarray(y), h, np.ascontiguousarray(columns[:top]), start, ranks, order, ys)


def _add_products(before, h, columns, start, ranks, order, ys):
    """As `prefix_loop`; the components between two ranks are one product."""
    for k in order:
        if start < ranks[k]:
            np.matmul(h[:, start : ranks[k]], columns[start : ranks[k]], out=ys[k])
            np.add(ys[k], before, out=ys[k])
        else:
            ys[k] = before
        before, start = ys[k], ranks[k]
