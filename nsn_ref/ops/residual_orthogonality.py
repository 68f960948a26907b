"""Residual orthogonality: squared Frobenius norm of A_r A_res^T, A_res being the rows r+1..anchor that rank r omits."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import zeros_like


class ResidualOrthogonalitySaved(NamedTuple):
    """What the backward pass needs."""

    A: np.ndarray  # (R, d_in)
    overlap: np.ndarray  # (r, anchor - r): A_r A_res^T


def residual_orthogonality_forward(A, rank, anchor):
    """Penalty that is zero where every row up to `rank` is orthogonal to every row from there to `anchor`.

    Parameters
    ----------
    A : ndarray, shape (R, d_in)
        Rows a_i.
    rank : int, in 1..anchor - 1
        The variant rank r.
    anchor : int, in 1..R
        The largest rank trained.

    Returns
    -------
    penalty : number, >= 0
    saved : ResidualOrthogonalitySaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError

    Notes
    -----
    Source: arXiv:2509.17874v1, Table 1, "residual orthogonality"; there is no batch to average over.
    """
    name = "residual_orthogonality_forward"
    sizes = checks.arrays(name, A=(A, "R d_in"))
    checks.not_empty(name, "A", A)
    checks.rank(name, anchor, sizes["R"], name="anchor")
    checks.rank(name, rank, anchor - 1)
    overlap = A[:rank] @ A[rank:anchor].T
    return (overlap * overlap).sum(), ResidualOrthogonalitySaved(A, overlap)


def residual_orthogonality_backward(dpenalty, saved):
    """Gradient with respect to A; rows above the anchor get exactly zero.

    Parameters
    ----------
    dpenalty : number
    saved : ResidualOrthogonalitySaved

    Returns
    -------
    dA : ndarray, shape (R, d_in)

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError
    """
    A, overlap = saved
    checks.number("residual_orthogonality_backward", "dpenalty", dpenalty, like=A)
    rank, anchor = overlap.shape[0], sum(overlap.shape)
    doverlap = 2 * overlap * dpenalty  # penalty = (overlap * overlap).sum()
    dA = zeros_like(A)
    dA[:rank] = doverlap @ A[rank:anchor]  # overlap = A[:rank] @ A[rank:anchor].T
    dA[rank:anchor] = doverlap.T @ A[:rank]
    return dA
