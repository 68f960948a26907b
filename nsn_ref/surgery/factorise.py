"""Factors of one dense weight matrix, such that every prefix of them is the best one of its rank.

Computed in float64 whatever the dtype of the weights, and returned in that dtype. Signs are fixed: the element of
largest magnitude of every b_i is positive, so that the factors do not depend on the LAPACK that computed them.
"""

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import DataError


def factorise_svd(W, R=None):
    """B = U sqrt(S), A = sqrt(S) V^T, from the singular value decomposition W = U S V^T.

    At every rank r at once, B_r A_r is nearest to W among the matrices of rank r, in the Frobenius and in the spectral
    norm (Eckart-Young); what it leaves out is the singular values r+1, r+2, ... The factors are balanced:
    norm(a_i) = norm(b_i).

    Parameters
    ----------
    W : ndarray, shape (d_out, d_in)
        float32 or float64.
    R : int, in 1..min(d_in, d_out), optional
        Components kept; all by default. More would be zero, and zero components do not learn.

    Returns
    -------
    A : ndarray, shape (R, d_in)
    B : ndarray, shape (d_out, R)

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError

    Notes
    -----
    Source: arXiv:2509.17874v1, App. B.2.

    Claims: LIN-9, SVD-1, SVD-2, SVD-3, SVD-4, SVD-6.
    """
    R = _check("factorise_svd", R, W=(W, "d_out d_in"))
    A, B = _prefix(W.astype(np.float64), R)
    return A.astype(W.dtype), B.astype(W.dtype)


def factorise_whitened(W, gram, R=None):
    """Factors whose every prefix has the smallest output error on given inputs: the sum of norm((W - W_r) x)^2.

    With S S^T = gram that error is norm_F((W - W_r) S)^2, so W S is decomposed and S undone: B = U sqrt(s),
    A = sqrt(s) V^T S^-1. Every such S gives the same W_r. The Cholesky factor is one; here S = Q sqrt(E) from the
    eigenvalues E and eigenvectors Q of the Gram matrix, which exists where the matrix is singular.

    In directions that the inputs never take, a singular Gram matrix leaves W_r free. Eigenvalues below
    d_in eps (the largest), eps of the dtype of `gram`, are noise and are raised to that. So unseen directions come last
    in the order of components, and all of min(d_in, d_out) components still give W on every input.

    Parameters
    ----------
    W : ndarray, shape (d_out, d_in)
        float32 or float64.
    gram : ndarray, shape (d_in, d_in)
        The sum of x x^T over the inputs x of the layer, in the dtype of W; any positive multiple will do.
    R : int, in 1..min(d_in, d_out), optional
        Components kept; all by default.

    Returns
    -------
    A : ndarray, shape (R, d_in)
    B : ndarray, shape (d_out, R)
        Not balanced: see `balance`.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError
    DataError
        The Gram matrix is not symmetric or not positive semidefinite, beyond rounding, or is zero.

    Notes
    -----
    Source: SVD-LLM, arXiv:2403.07378, sec. 3.1; the treatment of singular Gram matrices is ours.

    Claims: SVD-5.
    """
    R = _check("factorise_whitened", R, W=(W, "d_out d_in"), gram=(gram, "d_in d_in"))
    S, S_inverse = gram_root("factorise_whitened", gram)
    A, B = _prefix(W @ S, R)
    return (A @ S_inverse).astype(W.dtype), B.astype(W.dtype)


def _check(function, R, **arrays):
    sizes = checks.float_arrays(function, **arrays)
    for name, (array, _) in arrays.items():
        checks.not_empty(function, name, array)
    largest = min(sizes.values())
    if R is None:
        return largest
    checks.rank(function, R, largest, name="R")
    return R


def _prefix(W, R):
    U, s, Vt = np.linalg.svd(W, full_matrices=False)
    return balanced(U[:, :R], s[:R], Vt[:R])


def balanced(U, s, Vt):
    """B = U sqrt(s), A = sqrt(s) V^T with fixed signs.

    Returns
    -------
    A : ndarray, shape (R, d_in)
    B : ndarray, shape (d_out, R)
    """
    root = np.sqrt(s)
    return fix_signs(root[:, None] * Vt, U * root)


def fix_signs(A, B):
    """The same components, the largest element of every b_i positive; A and B are changed in place."""
    for i in range(0, B.shape[1], 64):  # a few columns at a time: their absolute values are a copy
        b = B[:, i : i + 64]
        largest = b[np.argmax(np.abs(b), axis=0), np.arange(b.shape[1])]
        signs = np.where(largest < 0, -1, 1).astype(B.dtype)
        b *= signs
        A[i : i + 64] *= signs[:, None]
    return A, B


def gram_root(function, gram):
    """S with S S^T = gram, its small eigenvalues raised, and the inverse of S.

    Raises
    ------
    DataError
        The Gram matrix is not symmetric or not positive semidefinite, beyond rounding, or is zero.
    """
    noise = len(gram) * np.finfo(gram.dtype).eps
    gram = gram.astype(np.float64)
    asymmetry, size = np.max(np.abs(gram - gram.T)), np.max(np.abs(gram))
    if asymmetry > noise * size:
        raise DataError(f"{function}: gram differs from its transpose by {asymmetry:.3g}, expected a symmetric matrix")
    eigenvalues, Q = np.linalg.eigh(gram)
    floor = noise * eigenvalues[-1]
    if not eigenvalues[-1] > 0 or eigenvalues[0] < -floor:
        got = f"gram has eigenvalues from {eigenvalues[0]:.3g} to {eigenvalues[-1]:.3g}"
        raise DataError(f"{function}: {got}, expected none below 0 and one above")
    root = np.sqrt(np.maximum(eigenvalues, floor))
    return Q * root, Q.T / root[:, None]
