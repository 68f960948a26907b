"""Wrong versions of the nested layer, its backward passes and its surgery, made from the right ones."""

import numpy as np


def at_rank(changed):
    """The layer runs at another rank."""
    return lambda forward: lambda x, A, B, b, rank: forward(x, A, B, b, changed(rank, A, B))


def with_factors(changed):
    """The layer runs with other factors."""
    return lambda forward: lambda x, A, B, b, rank: forward(x, *changed(A, B), b, rank)


one_more = at_rank(lambda rank, A, B: min(rank + 1, len(A)))
one_less = at_rank(lambda rank, A, B: max(rank - 1, 1))
at_full_rank = at_rank(lambda rank, A, B: len(A))
capped = at_rank(lambda rank, A, B: min(rank, A.shape[1], len(B)))
from_the_end = with_factors(lambda A, B: (A[::-1], B[:, ::-1]))
shifted = with_factors(lambda A, B: (A + np.eye(*A.shape, dtype=int).astype(A.dtype), B))
unsigned = with_factors(lambda A, B: (abs(A), B))
alternating = with_factors(lambda A, B: (A * np.where(np.arange(len(A)) % 2, -1, 1).astype(A.dtype)[:, None], B))


def newest_only(forward):
    """The layer applies component r alone."""
    return lambda x, A, B, b, rank: forward(x, A[rank - 1 : rank], B[:, rank - 1 : rank], b, 1)


def sorted_outputs(forward):
    return lambda x, A, B, b, ranks: forward(x, A, B, b, sorted(ranks))


def every_component_learns(backward):
    return lambda dy, saved: backward(dy, saved._replace(h=saved.x @ saved.A.T))


def mean_bias(backward):
    def wrong(dy, saved):
        dx, dA, dB, db = backward(dy, saved)
        return dx, dA, dB, db / len(saved.x)

    return wrong


def anchor_only(backward):
    def wrong(dys, saved):
        largest = np.array(saved.ranks) == max(saved.ranks)
        return backward(dys * largest[:, None, None].astype(int).astype(dys.dtype), saved)

    return wrong


def averaged(backward):
    return lambda dys, saved: tuple(g / len(saved.ranks) for g in backward(dys, saved))


def no_suffix(backward):
    return lambda dys, saved: backward(dys, saved._replace(ranks=(max(saved.ranks),) * len(saved.ranks)))


def reversed_components(factorised):
    def wrong(W):
        A, B = factorised(W)
        return A[::-1], B[:, ::-1]

    return wrong


def all_in_b(factorised):
    def wrong(W):
        A, B = factorised(W)
        s = np.linalg.norm(A, axis=1)
        return A / np.where(s > 0, s, 1)[:, None], B * s

    return wrong


def dead_set_to_zero(balanced):
    def wrong(A, B):
        alive = A.any(axis=1) & B.any(axis=0)
        A, B = balanced(A, B)
        return A * alive[:, None], B * alive

    return wrong
