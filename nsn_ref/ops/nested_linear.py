"""Nested linear layer at one rank: y = B_r (A_r x) + b.

A_r is the first r rows of A, B_r the first r columns of B.
"""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import rows, zeros_like


class NestedLinearSaved(NamedTuple):
    """What the backward pass needs."""

    x: np.ndarray  # (..., d_in)
    A: np.ndarray  # (R, d_in)
    B: np.ndarray  # (d_out, R)
    h: np.ndarray  # (..., r): its width is the rank


def nested_linear_forward(x, A, B, b, rank):
    """Apply the layer with its first `rank` components.

    Costs rank (d_in + d_out) multiply-adds for each input vector, against d_in d_out for a dense layer.

    Parameters
    ----------
    x : ndarray, shape (n, d_in) or (n, T, d_in)
    A : ndarray, shape (R, d_in)
        Rows a_i.
    B : ndarray, shape (d_out, R)
        Columns b_i.
    b : ndarray, shape (d_out,)
        One bias, shared by every rank.
    rank : int, in 1..R

    Returns
    -------
    y : ndarray, shape (n, d_out) or (n, T, d_out)
    saved : NestedLinearSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError

    Notes
    -----
    Source: arXiv:2509.17874v1, Def. 1.

    Claims: LIN-1, LIN-2, LIN-3, LIN-4, LIN-5, LIN-6, LIN-7, LIN-8, LIN-9, LIN-10, GAU-1, GAU-2, GAU-3, GAU-4,
    GAU-6, GAU-7, FLT-2, FLT-7.
    """
    sizes = checks.arrays("nested_linear_forward", x=(x, "... d_in"), A=(A, "R d_in"), B=(B, "d_out R"), b=(b, "d_out"))
    checks.rank("nested_linear_forward", rank, sizes["R"])
    h = x @ A[:rank].T
    return h @ B[:, :rank].T + b, NestedLinearSaved(x, A, B, h)


def nested_linear_backward(dy, saved):
    """Gradients at the rank of the forward pass; components above it get exactly zero.

    Parameters
    ----------
    dy : ndarray, shape (n, d_out) or (n, T, d_out)
    saved : NestedLinearSaved

    Returns
    -------
    dx, dA, dB, db : ndarray
        In the shapes of x, A, B, b.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: the chain rule on arXiv:2509.17874v1, Def. 1.

    Claims: GRD-1, GRD-5.
    """
    x, A, B, h = saved
    checks.cotangent("nested_linear_backward", dy, x.shape[:-1] + B.shape[:1], like=x)
    rank = h.shape[-1]
    dA, dB = zeros_like(A), zeros_like(B)
    dh = dy @ B[:, :rank]  # y = h @ B[:, :rank].T + b
    dB[:, :rank] = rows(dy).T @ rows(h)
    db = rows(dy).sum(axis=0)
    dx = dh @ A[:rank]  # h = x @ A[:rank].T
    dA[:rank] = rows(dh).T @ rows(x)
    return dx, dA, dB, db
