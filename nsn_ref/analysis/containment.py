"""Whether the image of a nested layer at a small rank lies within its image at a large one."""

import numpy as np

from nsn_ref import checks


def containment(A, B, small, large):
    """tr(P_small P_large) / rank(W_small), P the orthogonal projectors onto the images of W_small and W_large.

    It is 1 exactly where the image of W_small lies within that of W_large, and 0 where the two are orthogonal. A zero
    W_small is contained in everything.

    Parameters
    ----------
    A : ndarray, shape (R, d_in)
    B : ndarray, shape (d_out, R)
        float32 or float64.
    small, large : int, in 1..R
        In either order of size.

    Returns
    -------
    float, in [0, 1] up to rounding

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError

    Notes
    -----
    The rank of a matrix is a decision in floating point: singular values up to max(d_out, d_in) eps times the largest
    count as zero, eps being the spacing of the dtype at 1 (the rule of `numpy.linalg.matrix_rank`).

    Source: the sound form of `singular_vector_score`; ours.

    Claims: LIN-5, LIN-6, LIN-7, LIN-13.
    """
    name = "containment"
    R = checks.float_arrays(name, A=(A, "R d_in"), B=(B, "d_out R"))["R"]
    checks.rank(name, small, R, name="small")
    checks.rank(name, large, R, name="large")
    U_small, U_large = (_image(A, B, rank) for rank in (small, large))
    if U_small.shape[1] == 0:
        return 1.0
    return float(np.sum(np.square(U_large.T @ U_small)) / U_small.shape[1])


def singular_vector_score(A, B, small, large):
    """The paper's score: norm_F(U_large^T U_small)^2 / small, U_r the first r left singular vectors of W_r.

    It equals `containment` where W_small and W_large have the ranks `small` and `large`. Where W_r has a lower rank,
    its first r singular vectors include arbitrary ones, and the score of a contained image falls below 1: as far as 0.5
    where W_2 has rank 1. For large < small it is at most large / small.

    Parameters
    ----------
    A : ndarray, shape (R, d_in)
    B : ndarray, shape (d_out, R)
        float32 or float64.
    small, large : int, in 1..min(R, d_in, d_out)
        A matrix has no more singular vectors than its smaller side.

    Returns
    -------
    float, in [0, 1] up to rounding

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError

    Notes
    -----
    Source: arXiv:2509.17874v1, App. A.3.

    Claims: LIN-11, LIN-12.
    """
    name = "singular_vector_score"
    sizes = checks.float_arrays(name, A=(A, "R d_in"), B=(B, "d_out R"))
    checks.rank(name, small, min(sizes.values()), name="small")
    checks.rank(name, large, min(sizes.values()), name="large")
    U_small, U_large = (np.linalg.svd(_product(A, B, rank))[0][:, :rank] for rank in (small, large))
    return float(np.sum(np.square(U_large.T @ U_small)) / small)


def _product(A, B, rank):
    return B[:, :rank] @ A[:rank]


def _image(A, B, rank):
    """An orthonormal basis of the image of W_r."""
    U, singular_values, _ = np.linalg.svd(_product(A, B, rank), full_matrices=False)
    threshold = max(A.shape[1], B.shape[0]) * np.finfo(A.dtype).eps * singular_values[0]
    return U[:, singular_values > threshold]
