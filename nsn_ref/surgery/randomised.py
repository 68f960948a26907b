"""Factors of a large matrix from random projections of it, and how far they are from the best.

The matrix is read a few rows at a time in its own dtype and multiplied in float64: beside it there is only what has the
width of the projection.
"""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import DataError
from nsn_ref.surgery.factorise import fix_signs

ROWS = 2**20  # elements that are converted to float64 at a time


class RandomisedFactors(NamedTuple):
    """Factors and their error."""

    A: np.ndarray  # (R, d_in)
    B: np.ndarray  # (d_out, R)
    error: float  # norm_F((W - B A) S), S S^T the Gram matrix or 1: estimated without bias of its square
    singular_values: np.ndarray  # (R,): those found; never above the true ones


def factorise_randomised(W, R, rng, *, gram=None, oversampling=10, power=2, samples=16):
    """Factors of nearly the best matrices of rank 1..R, at the cost of a few products with W.

    A random matrix of R + oversampling columns, multiplied by W (W^T W)^power, spans nearly the space of the leading
    left singular vectors; the singular value decomposition is then that of W within this space. Between the products
    the columns are made orthonormal, without which the small singular values would be lost to rounding.

    With a Gram matrix G = S S^T of the layer's inputs, W S takes the place of W. S itself is not needed: left singular
    vectors U of W S are eigenvectors of W G W^T, and W_r = U_r U_r^T W.

    Parameters
    ----------
    W : ndarray, shape (d_out, d_in)
        float32 or float64.
    R : int, in 1..min(d_in, d_out)
        Components kept.
    rng : numpy.random.Generator
    gram : ndarray, shape (d_in, d_in), optional
        The sum of x x^T over the inputs x of the layer: the factors are then whitened, as in `factorise_whitened`.
    oversampling : int, >= 0
        Columns beyond R. More of them, or of `power`, bring the error nearer to the best.
    power : int, >= 0
    samples : int, >= 1
        Random vectors that the error is estimated from.

    Returns
    -------
    RandomisedFactors

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, OptionError
    DataError
        The Gram matrix is zero.

    Notes
    -----
    Source: Halko, Martinsson & Tropp, arXiv:0909.4061, algorithms 4.4 and 5.1. The estimate of the error is the mean of
    norm((W - B A) g)^2 over standard normal g, with a Gram matrix that of norm(S^T (W - B A)^T g)^2: the expectation
    is the squared Frobenius norm.
    """
    name = "factorise_randomised"
    d_out, d_in = checks.float_arrays(name, W=(W, "d_out d_in")).values()
    checks.not_empty(name, "W", W)
    checks.rank(name, R, min(d_in, d_out), name="R")
    for option, value, low in (("oversampling", oversampling, 0), ("power", power, 0), ("samples", samples, 1)):
        checks.integer(name, option, value, low)
    if gram is not None:
        checks.float_arrays(name, gram=(gram, "d_in d_in"))
        checks.axes(name, W=(W, "d_out d_in"), gram=(gram, "d_in d_in"))
    weigh = weighing(name, gram)
    width = min(R + oversampling, d_in, d_out)
    Q = _orthonormal(times(W, weigh(rng.standard_normal((d_in, width)))))
    for _ in range(power):
        Q = _orthonormal(transposed_times(W, Q))
        Q = _orthonormal(times(W, weigh(Q)))
    inside = transposed_times(W, Q).T
    A, B, s = _singular(inside, R) if gram is None else _weighed(inside, R, weigh)
    B = Q @ B
    error = _estimate(W, *fix_signs(A, B), rng, samples, None if gram is None else weigh)
    return RandomisedFactors(A.astype(W.dtype), B.astype(W.dtype), error, s)


def _singular(W, R):
    """A, B and the singular values of a small matrix."""
    U, s, Vt = np.linalg.svd(W, full_matrices=False)
    root = np.sqrt(s[:R])
    return root[:, None] * Vt[:R], U[:, :R] * root, s[:R]


def _weighed(W, R, weigh):
    """The same of W S."""
    squares, U = np.linalg.eigh(W @ weigh(W.T))
    squares, U = squares[: -R - 1 : -1], U[:, : -R - 1 : -1]
    scale = balancing(squares)
    return (U / scale).T @ W, U * scale, np.sqrt(np.maximum(squares, 0.0))


def balancing(squares):
    """Square roots of the singular values of squares, falling; not so small that 1 over them is lost in rounding."""
    return np.maximum(squares, np.finfo(np.float64).eps * max(squares[0], np.finfo(np.float64).tiny)) ** 0.25


def _estimate(W, A, B, rng, samples, weigh):
    """norm_F((W - B A) S), from random vectors."""
    if weigh is None:
        G = rng.standard_normal((W.shape[1], samples))
        missed = times(W, G) - B @ (A @ G)
        square = np.sum(missed * missed)
    else:
        G = rng.standard_normal((len(W), samples))
        missed = transposed_times(W, G) - A.T @ (B.T @ G)
        square = max(np.sum(missed * weigh(missed)), 0.0)
    return float(np.sqrt(square / samples))


def weighing(function, gram):
    """X -> G X in float64, G the Gram matrix with eps norm_F(gram) more on its diagonal; without one X -> X.

    That is twice what rounding the Gram matrix to its dtype, whose eps it is, can have moved an eigenvalue by: G is
    positive definite. In directions that the inputs never take the weights decide, as with `gram_root`.

    Raises
    ------
    DataError
        The Gram matrix is zero.
    """
    if gram is None:
        return lambda X: X
    size = np.sqrt(sum(np.sum(rows * rows) for _, rows in row_blocks(gram)))
    if not size > 0:
        raise DataError(f"{function}: gram is zero, expected inputs other than zero")
    noise = np.finfo(gram.dtype).eps * size
    return lambda X: times(gram, X) + noise * X


def times(W, X):
    """W X in float64, (d_out, m)."""
    return np.concatenate([rows @ X for _, rows in row_blocks(W)])


def transposed_times(W, Y):
    """W^T Y in float64, (d_in, m)."""
    product = np.zeros((W.shape[1], Y.shape[1]))
    for start, rows in row_blocks(W):
        product += rows.T @ Y[start : start + len(rows)]
    return product


def row_blocks(W):
    """Pairs (number of the first row, a few rows in float64)."""
    step = max(1, ROWS // W.shape[1])
    for start in range(0, len(W), step):
        yield start, W[start : start + step].astype(np.float64)


def _orthonormal(Y):
    return np.linalg.qr(Y)[0]
