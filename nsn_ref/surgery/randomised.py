"""Factors of a large matrix from random projections of it, and how far they are from the best.

The matrix is read a few rows at a time in its own dtype and multiplied in float64: beside it there is only what has the
width of the projection.
"""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.surgery.factorise import balanced

ROWS = 2**20  # elements that are converted to float64 at a time


class RandomisedFactors(NamedTuple):
    """Factors and their error."""

    A: np.ndarray  # (R, d_in)
    B: np.ndarray  # (d_out, R)
    error: float  # norm_F((W - B A) S), estimated without bias of its square
    singular_values: np.ndarray  # (R,): those found; never above the true ones


def factorise_randomised(W, R, rng, *, root=None, oversampling=10, power=2, samples=16):
    """Factors of nearly the best matrices of rank 1..R, at the cost of a few products with W.

    A random matrix of R + oversampling columns, multiplied by W (W^T W)^power, spans nearly the space of the leading
    left singular vectors; the singular value decomposition is then that of W within this space. Between the products
    the columns are made orthonormal, without which the small singular values would be lost to rounding.

    Parameters
    ----------
    W : ndarray, shape (d_out, d_in)
        float32 or float64.
    R : int, in 1..min(d_in, d_out)
        Components kept.
    rng : numpy.random.Generator
    root : ndarray, shape (d_in, d_in), optional
        S with S S^T the Gram matrix of the layer's inputs, float64: W S is decomposed, as in `factorise_whitened`.
    oversampling : int, >= 0
        Columns beyond R. More of them, or of `power`, bring the error nearer to the best.
    power : int, >= 0
    samples : int, >= 1
        Random vectors that the error is estimated from.

    Returns
    -------
    RandomisedFactors
        A is that of W S where there is a root: multiply it by the inverse of S.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, OptionError

    Notes
    -----
    Source: Halko, Martinsson & Tropp, arXiv:0909.4061, algorithms 4.4 and 5.1. The estimate of the error is the mean of
    norm((W - B A) S g)^2 over standard normal g, whose expectation is the squared Frobenius norm.
    """
    name = "factorise_randomised"
    d_out, d_in = checks.float_arrays(name, W=(W, "d_out d_in")).values()
    checks.not_empty(name, "W", W)
    checks.rank(name, R, min(d_in, d_out), name="R")
    for option, value, low in (("oversampling", oversampling, 0), ("power", power, 0), ("samples", samples, 1)):
        checks.integer(name, option, value, low)
    if root is not None:
        checks.float_arrays(name, root=(root, "d_in d_in"))
        checks.axes(name, W=(W, "d_out d_in"), root=(root, "d_in d_in"))
    width = min(R + oversampling, d_in, d_out)
    Q = _orthonormal(times(W, rng.standard_normal((d_in, width)), root))
    for _ in range(power):
        Q = _orthonormal(transposed_times(W, Q, root))
        Q = _orthonormal(times(W, Q, root))
    U, s, Vt = np.linalg.svd(transposed_times(W, Q, root).T, full_matrices=False)
    A, B = balanced(Q @ U[:, :R], s[:R], Vt[:R])
    G = rng.standard_normal((d_in, samples))
    missed = times(W, G, root) - B @ (A @ G)
    error = np.sqrt(np.sum(missed * missed) / samples)
    return RandomisedFactors(A.astype(W.dtype), B.astype(W.dtype), float(error), s[:R])


def times(W, X, root=None):
    """W S X in float64, (d_out, m)."""
    X = X if root is None else root @ X
    return np.concatenate([rows @ X for _, rows in row_blocks(W)])


def transposed_times(W, Y, root=None):
    """S^T W^T Y in float64, (d_in, m)."""
    product = np.zeros((W.shape[1], Y.shape[1]))
    for start, rows in row_blocks(W):
        product += rows.T @ Y[start : start + len(rows)]
    return product if root is None else root.T @ product


def row_blocks(W):
    """Pairs (number of the first row, a few rows in float64)."""
    step = max(1, ROWS // W.shape[1])
    for start in range(0, len(W), step):
        yield start, W[start : start + step].astype(np.float64)


def _orthonormal(Y):
    return np.linalg.qr(Y)[0]
