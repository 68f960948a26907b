"""Factors and singular values of a large matrix from the smaller of its two Gram matrices.

Beside the matrix, which is read a few rows or columns at a time, there is only what has its smaller width squared, and
the factors. Squaring costs the smallest singular values their digits: each has an absolute error of about 1e-8 times
the largest. That is below the rounding of factors in float32.
"""

import numpy as np

from nsn_ref import checks
from nsn_ref.surgery.factorise import fix_signs, gram_root
from nsn_ref.surgery.randomised import ROWS, balancing, row_blocks, times, weighing


def factorise_eigen(W, R, gram=None):
    """Factors of the best matrices of every rank, as `factorise_svd` or `factorise_whitened` gives them.

    With V the eigenvectors of W^T W, W_r = W V_r V_r^T: every W_r is a projection, and all components give W, however
    small the singular values are. With no more rows than columns, the same with U of W W^T.

    Whitened, with G = S S^T: V are the eigenvectors of S^T W^T W S and W_r = W S V_r V_r^T S^-1. With no more rows than
    columns, U are those of W G W^T and W_r = U_r U_r^T W: no root of G is taken, which would be larger than W.

    Parameters
    ----------
    W : ndarray, shape (d_out, d_in)
        float32 or float64.
    R : int, in 1..min(d_in, d_out)
    gram : ndarray, shape (d_in, d_in), optional
        The sum of x x^T over the inputs x of the layer: the factors are then whitened. What is noise in it is raised as
        in `gram_root`, with no more rows than columns as in `weighing`.

    Returns
    -------
    A : ndarray, shape (R, d_in)
    B : ndarray, shape (d_out, R)

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError
    DataError
        The Gram matrix is not one, or zero.
    """
    name = "factorise_eigen"
    d_out, d_in = checks.float_arrays(name, W=(W, "d_out d_in")).values()
    checks.not_empty(name, "W", W)
    checks.rank(name, R, min(d_in, d_out), name="R")
    smaller, root, inverse = _smaller_gram(name, W, gram)
    squares, vectors = _eigen(smaller, R)
    scale = balancing(squares)  # any positive scale gives the same products
    A, B = np.empty((R, d_in), W.dtype), np.empty((d_out, R), W.dtype)
    if d_in < d_out:
        columns = (vectors if root is None else root @ vectors) / scale
        for start, rows in row_blocks(W):
            B[start : start + len(rows)] = rows @ columns
        A[:] = (vectors * scale).T if inverse is None else (vectors * scale).T @ inverse
    else:
        rows = (vectors / scale).T
        for start in range(0, d_in, step := max(1, ROWS // d_out)):
            A[:, start : start + step] = rows @ W[:, start : start + step].astype(np.float64)
        B[:] = vectors * scale
    return fix_signs(A, B)


def spectrum(W, gram=None):
    """Singular values of W, or of W S with S S^T a Gram matrix.

    Parameters
    ----------
    W : ndarray, shape (d_out, d_in)
        float32 or float64.
    gram : ndarray, shape (d_in, d_in), optional
        As in `factorise_eigen`.

    Returns
    -------
    ndarray, shape (min(d_in, d_out),)
        Not increasing.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, DataError
    """
    checks.float_arrays("spectrum", W=(W, "d_out d_in"))
    checks.not_empty("spectrum", "W", W)
    smaller, _, _ = _smaller_gram("spectrum", W, gram)
    return np.sqrt(np.maximum(np.linalg.eigvalsh(smaller)[::-1], 0.0))


def tail(singular_values):
    """norm_F(W - W_r) of the best W_r, for r = 0, 1, ..., min(d_in, d_out)."""
    return np.sqrt(np.append(np.cumsum(singular_values[::-1] ** 2)[::-1], 0.0))


def _smaller_gram(function, W, gram):
    """M^T M of M = W S, or M M^T if it is no larger; S and its inverse where they were needed."""
    if W.shape[1] >= W.shape[0]:
        weigh = weighing(function, gram)
        return np.concatenate([times(W, weigh(rows.T)) for _, rows in row_blocks(W)], axis=1), None, None
    smaller = np.zeros((W.shape[1], W.shape[1]))
    for _, rows in row_blocks(W):
        smaller += rows.T @ rows
    if gram is None:
        return smaller, None, None
    root, inverse = gram_root(function, gram)
    return root.T @ smaller @ root, root, inverse


def _eigen(gram, R):
    """The R largest eigenvalues, falling, and their eigenvectors; `gram` is overwritten, as its transpose."""
    from scipy.linalg import eigh

    last = len(gram) - 1
    values, vectors = eigh(gram.T, overwrite_a=True, driver="evr", subset_by_index=(last - R + 1, last))
    return values[::-1], vectors[:, ::-1]
