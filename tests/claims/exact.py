"""Linear algebra without rounding, over object arrays of Fraction: python-flint's elimination decides every rank."""

from fractions import Fraction

import numpy as np
from flint import fmpq, fmpq_mat


def rank(M):
    """The rank of a matrix."""
    return _flint(M).rank()


def kernel(M):
    """A basis of the vectors x with M x = 0, as columns."""
    integers, _ = _flint(M).numer_denom()
    basis, nullity = integers.nullspace()
    return matrix(M.shape[1], nullity, lambda i, j: int(basis[i, j]))


def image_in(S, L):
    """Whether the image (column space) of S lies within that of L."""
    return rank(np.hstack([S, L])) == rank(L)


def rows_in(S, L):
    """Whether the row space of S lies within that of L."""
    return image_in(S.T, L.T)


def kernel_in(S, L):
    """Whether every x with S x = 0 has L x = 0."""
    return not (L @ kernel(S)).any()


def pivots(M):
    """The columns of M that are no combination of those before them: a basis of its image."""
    return [j for j in range(M.shape[1]) if rank(M[:, : j + 1]) > rank(M[:, :j])]


def projector(M):
    """The orthogonal projector on the image of M."""
    C = M[:, pivots(M)]
    return C @ inverse(C.T @ C) @ C.T


def outer_products(A, B, start, stop):
    """The sum of b_i a_i over start < i <= stop, by scalar loops: independent of what is tested."""
    (_, d_in), (d_out, _) = A.shape, B.shape
    return matrix(d_out, d_in, lambda o, j: sum((B[o, i] * A[i, j] for i in range(start, stop)), Fraction(0)))


def inner(U, V):
    """The inner product of two arrays of one shape: the sum of the products of their elements."""
    assert U.shape == V.shape
    return sum((u * v for u, v in zip(U.flat, V.flat, strict=True)), Fraction(0))


def matrix(rows, columns, element):
    """The matrix with element(i, j) at row i, column j, both from 0."""
    out = np.empty((rows, columns), dtype=object)
    for i, j in np.ndindex(rows, columns):
        out[i, j] = Fraction(element(i, j))
    return out


def zeros(rows, columns):
    """The zero matrix."""
    return matrix(rows, columns, lambda i, j: 0)


def identity(n):
    """The identity matrix."""
    return matrix(n, n, lambda i, j: i == j)


def inverse(M):
    """The inverse of an invertible matrix."""
    inverted = _flint(M).inv()
    return matrix(*M.shape, lambda i, j: Fraction(int(inverted[i, j].p), int(inverted[i, j].q)))


def _flint(M):
    return fmpq_mat(*M.shape, [fmpq(x.numerator, x.denominator) for x in M.flat])
