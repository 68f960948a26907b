"""Hard orthogonality of the first factor: the squared Frobenius norm of A A^T - I."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import number, zeros


class HardOrthogonalitySaved(NamedTuple):
    """What the backward pass needs."""

    A: np.ndarray  # (R, d_in)
    gap: np.ndarray  # (R, R): A A^T - I, symmetric


def hard_orthogonality_forward(A):
    """Penalty that is zero where the rows of A are orthonormal, which needs R <= d_in; above, at least R - d_in.

    Parameters
    ----------
    A : ndarray, shape (R, d_in)
        Rows a_i.

    Returns
    -------
    penalty : number, >= 0
    saved : HardOrthogonalitySaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: arXiv:2509.17874v1, Table 1, "hard orthogonality"; there is no batch to average over.
    """
    sizes = checks.arrays("hard_orthogonality_forward", A=(A, "R d_in"))
    checks.not_empty("hard_orthogonality_forward", "A", A)
    gap = A @ A.T - _identity(sizes["R"], A)
    return (gap * gap).sum(), HardOrthogonalitySaved(A, gap)


def hard_orthogonality_backward(dpenalty, saved):
    """Gradient with respect to A.

    Parameters
    ----------
    dpenalty : number
    saved : HardOrthogonalitySaved

    Returns
    -------
    dA : ndarray, shape (R, d_in)

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError
    """
    A, gap = saved
    checks.number("hard_orthogonality_backward", "dpenalty", dpenalty, like=A)
    dgap = 2 * gap * dpenalty  # penalty = (gap * gap).sum()
    return 2 * (dgap @ A)  # gap = A @ A.T - I, and dgap is symmetric


def _identity(size, like):
    out = zeros((size, size), like)
    np.fill_diagonal(out, number(1, like))
    return out
