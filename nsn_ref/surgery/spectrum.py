"""Singular values without singular vectors: what the best factors of every rank leave out."""

import numpy as np

from nsn_ref import checks
from nsn_ref.surgery.randomised import row_blocks, times


def spectrum(W, root=None):
    """Singular values of W, or of W S, from the eigenvalues of the smaller of its two Gram matrices.

    Squaring costs the smallest ones their digits: each has an absolute error of about 1e-8 times the largest, which
    energies and tails of many components do not notice.

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
    d_out, d_in = checks.float_arrays("spectrum", W=(W, "d_out d_in")).values()
    checks.not_empty("spectrum", "W", W)
    if d_in <= d_out:
        gram = sum(rows.T @ rows for _, rows in row_blocks(W))
        gram = gram if root is None else root.T @ gram @ root
    else:
        gram = np.concatenate([_times_transposed(W, rows, root) for _, rows in row_blocks(W)], axis=1)
    return np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0))


def _times_transposed(W, rows, root):
    """(W S) (rows S)^T."""
    return times(W, rows.T if root is None else root.T @ rows.T, root)


def tail(singular_values):
    """norm_F(W - W_r) of the best W_r, for r = 0, 1, ..., min(d_in, d_out)."""
    return np.sqrt(np.append(np.cumsum(singular_values[::-1] ** 2)[::-1], 0.0))
