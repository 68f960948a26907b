"""Factors and singular values of a large matrix from the smaller of its two Gram matrices.

Beside the matrix, which is read a few rows or columns at a time, there is only what has its smaller width squared, and
the factors. Squaring costs the smallest singular values their digits: each has an absolute error of about 1e-8 times
the largest. That is below the rounding of factors in float32.
"""

import numpy as np

from nsn_ref import checks
from nsn_ref.surgery.factorise import fix_signs
from nsn_ref.surgery.randomised import ROWS, row_blocks, times


def factorise_eigen(W, R, root=None, inverse=None):
    """Factors of the best matrices of every rank, as `factorise_svd` or `factorise_whitened` gives them.

    With V the eigenvectors of W^T W, W_r = W V_r V_r^T: every W_r is a projection, and all components give W, however
    small the singular values are. With more columns than rows, the same with U of W W^T.

    Parameters
    ----------
    W : ndarray, shape (d_out, d_in)
        float32 or float64.
    R : int, in 1..min(d_in, d_out)
    root, inverse : ndarray, shape (d_in, d_in), optional
        S with S S^T the Gram matrix of the layer's inputs, and its inverse: then the factors are the whitened ones.

    Returns
    -------
    A : ndarray, shape (R, d_in)
    B : ndarray, shape (d_out, R)

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError
    """
    name = "factorise_eigen"
    d_out, d_in = checks.float_arrays(name, W=(W, "d_out d_in")).values()
    checks.not_empty(name, "W", W)
    checks.rank(name, R, min(d_in, d_out), name="R")
    squares, vectors = _eigen(smaller_gram(W, root), R)
    # any positive scale gives the same products; this one balances the factors, where it is not lost in rounding
    scale = np.maximum(squares, np.finfo(np.float64).eps * max(squares[0], np.finfo(np.float64).tiny)) ** 0.25
    A, B = np.empty((R, d_in), W.dtype), np.empty((d_out, R), W.dtype)
    if d_in <= d_out:
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


def spectrum(W, root=None):
    """Singular values of W, or of W S.

    Parameters
    ----------
    W : ndarray, shape (d_out, d_in)
        float32 or float64.
    root : ndarray, shape (d_in, d_in), optional
        S.

    Returns
    -------
    ndarray, shape (min(d_in, d_out),)
        Not increasing.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
    """
    checks.float_arrays("spectrum", W=(W, "d_out d_in"))
    checks.not_empty("spectrum", "W", W)
    return np.sqrt(np.maximum(np.linalg.eigvalsh(smaller_gram(W, root))[::-1], 0.0))


def tail(singular_values):
    """norm_F(W - W_r) of the best W_r, for r = 0, 1, ..., min(d_in, d_out)."""
    return np.sqrt(np.append(np.cumsum(singular_values[::-1] ** 2)[::-1], 0.0))


def smaller_gram(W, root=None):
    """M^T M of M = W S, or M M^T if M has fewer rows than columns, in float64."""
    if W.shape[1] <= W.shape[0]:
        gram = np.zeros((W.shape[1], W.shape[1]))
        for _, rows in row_blocks(W):
            gram += rows.T @ rows
        return gram if root is None else root.T @ gram @ root
    return np.concatenate([_times_transposed(W, rows, root) for _, rows in row_blocks(W)], axis=1)


def _times_transposed(W, rows, root):
    """(W S) (rows S)^T."""
    return times(W, rows.T if root is None else root @ (root.T @ rows.T))


def _eigen(gram, R):
    """The R largest eigenvalues, falling, and their eigenvectors; `gram` is overwritten, as its transpose."""
    from scipy.linalg import eigh

    last = len(gram) - 1
    values, vectors = eigh(gram.T, overwrite_a=True, driver="evr", subset_by_index=(last - R + 1, last))
    return values[::-1], vectors[:, ::-1]
