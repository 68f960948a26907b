"""The factors of one layer by any method, and their error at every rank."""

from typing import NamedTuple

import numpy as np

from nsn_ref.surgery.eigen import factorise_eigen, spectrum, tail
from nsn_ref.surgery.factorise import factorise_svd, factorise_whitened
from nsn_ref.surgery.randomised import factorise_randomised, row_blocks, times

METHODS = ("auto", "exact", "randomised")
LARGE = 2**21  # elements above which memory counts: eigenvectors instead of the singular value decomposition
AFFORDABLE = 2048  # the smaller width up to which the best error is computed beside a randomised one


class LayerFactors(NamedTuple):
    """Factors, and what they leave out of W x, in root mean square over the inputs x; without inputs, of W."""

    A: np.ndarray  # (R, d_in)
    B: np.ndarray  # (d_out, R)
    method: str  # "exact" or "randomised"
    errors: np.ndarray  # (R,): at rank r errors[r - 1], relative to what there is
    best: float | None  # the smallest possible error at rank R; None: not computed


def factorise_layer(W, R, rng, *, method="auto", gram=None):
    """Factorise a weight matrix.

    Parameters
    ----------
    W : ndarray, shape (d_out, d_in)
        float32 or float64.
    R : int, in 1..min(d_in, d_out)
    rng : numpy.random.Generator
        For the randomised method.
    method : {"auto", "exact", "randomised"}
        "auto": randomised if the matrix is large and at most a quarter of its components is kept. "exact" of a large
        matrix in float32 takes the eigenvectors of a Gram matrix (`factorise_eigen`).
    gram : ndarray, shape (d_in, d_in), optional
        Gram matrix of the inputs in the dtype of W, or a positive multiple of it, for whitened factors.

    Returns
    -------
    LayerFactors

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, DataError
    """
    if method == "auto":
        method = "randomised" if W.size > LARGE and min(W.shape) >= 4 * R else "exact"
    size = np.sqrt(_squared_norm(W, gram))
    A, B, missed, best = (_randomised if method == "randomised" else _exact)(W, R, rng, gram, size)
    found = _singular_values(B)
    errors = np.sqrt(missed**2 + np.append(np.cumsum(found[:0:-1] ** 2)[::-1], 0.0))
    relative = 1 / size if size > 0 else 0.0
    return LayerFactors(A, B, method, errors * relative, None if best is None else float(best * relative))


def _exact(W, R, rng, gram, size):
    if W.size > LARGE and W.dtype == np.float32:
        A, B = factorise_eigen(W, R, gram)
    else:
        A, B = factorise_svd(W, R) if gram is None else factorise_whitened(W, gram, R)
    kept = np.sum(_singular_values(B) ** 2)
    missed = 0.0 if min(W.shape) == R else np.sqrt(max(size**2 - kept, 0.0))
    return A, B, missed, missed


def _randomised(W, R, rng, gram, size):
    A, B, missed, _ = factorise_randomised(W, R, rng, gram=gram)
    best = tail(spectrum(W, gram))[R] if min(W.shape) <= AFFORDABLE else None
    return A, B, missed, best


def _singular_values(B):
    """norm(b_i)^2, which is the i-th one."""
    return sum(np.sum(rows * rows, axis=0) for _, rows in row_blocks(B))


def _squared_norm(W, gram):
    """norm_F(W S)^2."""
    return sum(np.sum((rows if gram is None else times(gram, rows.T).T) * rows) for _, rows in row_blocks(W))
