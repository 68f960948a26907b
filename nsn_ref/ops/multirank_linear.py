"""Nested linear layer at K ranks over one shared input, in one pass.

The outputs are prefix sums over the components: with the ranks ascending, each output is the one before it plus the
components between the two. The gradients are suffix sums: a component serves every output whose rank reaches it. So K
ranks cost one pass at the largest rank, plus writing K outputs.
"""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import rows, zeros_like


class MultirankLinearSaved(NamedTuple):
    """What the backward pass needs."""

    x: np.ndarray  # (..., d_in)
    A: np.ndarray  # (R, d_in)
    B: np.ndarray  # (d_out, R)
    h: np.ndarray  # (..., max(ranks))
    ranks: tuple  # K ranks in the caller's order


def multirank_linear_forward(x, A, B, b, ranks):
    """Apply the layer at each of `ranks`.

    Parameters
    ----------
    x : ndarray, shape (n, d_in) or (n, T, d_in)
    A : ndarray, shape (R, d_in)
        Rows a_i.
    B : ndarray, shape (d_out, R)
        Columns b_i.
    b : ndarray, shape (d_out,)
        One bias, shared by every rank.
    ranks : sequence of K ints, each in 1..R
        In any order, duplicates allowed.

    Returns
    -------
    ys : ndarray, shape (K, n, d_out) or (K, n, T, d_out)
        ys[k] is the output at ranks[k].
    saved : MultirankLinearSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError

    Notes
    -----
    Source: arXiv:2509.17874v1, Def. 1, as W_r = sum of b_i a_i over i <= r; the single pass is ours.

    Claims: LIN-1, LIN-2, CST-5, FLT-7.
    """
    sizes = checks.arrays(
        "multirank_linear_forward", x=(x, "... d_in"), A=(A, "R d_in"), B=(B, "d_out R"), b=(b, "d_out")
    )
    checks.ranks("multirank_linear_forward", ranks, sizes["R"])
    h = x @ A[: max(ranks)].T
    y, prefix, at_rank = b, 0, {}
    for r in sorted(set(ranks)):
        y = y + h[..., prefix:r] @ B[:, prefix:r].T
        at_rank[r], prefix = y, r
    return np.stack([at_rank[r] for r in ranks]), MultirankLinearSaved(x, A, B, h, tuple(ranks))


def multirank_linear_backward(dys, saved):
    """Gradients of K outputs at once; components above the largest rank get exactly zero.

    Parameters
    ----------
    dys : ndarray, shape (K, n, d_out) or (K, n, T, d_out)
        dys[k] is the cotangent of the output at ranks[k].
    saved : MultirankLinearSaved

    Returns
    -------
    dx, dA, dB, db : ndarray
        In the shapes of x, A, B, b: the sums over the K outputs.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: the chain rule on arXiv:2509.17874v1, Def. 1; the suffix sums are ours.

    Claims: GRD-2, GRD-3, GRD-4, GRD-5, SVD-6.
    """
    x, A, B, h, ranks = saved
    shape = (len(ranks),) + x.shape[:-1] + B.shape[:1]
    checks.cotangent("multirank_linear_backward", dys, shape, like=x, name="dys")
    top = h.shape[-1]
    dA, dB, dh = zeros_like(A), zeros_like(B), zeros_like(h)
    dy, edges = zeros_like(dys[0]), sorted(set(ranks))
    for start, r in reversed(list(zip([0, *edges[:-1]], edges, strict=True))):  # these serve every rank >= r
        dy = dy + sum(dys[k] for k in range(len(ranks)) if ranks[k] == r)
        dh[..., start:r] = dy @ B[:, start:r]  # y = y + h[..., start:r] @ B[:, start:r].T
        dB[:, start:r] = rows(dy).T @ rows(h[..., start:r])
    db = rows(dy).sum(axis=0)  # y starts at b
    dx = dh @ A[:top]  # h = x @ A[:top].T
    dA[:top] = rows(dh).T @ rows(x)
    return dx, dA, dB, db
