"""How much each component of a nested layer can contribute."""

import numpy as np

from nsn_ref import checks


def component_energies(A, B):
    """norm(b_i) norm(a_i): the spectral norm of the component b_i a_i.

    The product does not change under a_i -> c a_i, b_i -> b_i / c, which changes no W_r; the two norms do.

    Parameters
    ----------
    A : ndarray, shape (R, d_in)
    B : ndarray, shape (d_out, R)
        float32 or float64.

    Returns
    -------
    ndarray, shape (R,)

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: arXiv:2509.17874v1, Lemma 1: adding component i changes the output by at most its energy times norm(x).

    Claims: ENG-1, ENG-2, ENG-4, ENG-5.
    """
    norm_a, norm_b = factor_norms(A, B)
    return norm_a * norm_b


def factor_norms(A, B):
    """norm(a_i) and norm(b_i), which Assumption 1 of the paper orders separately, although rescaling can reorder them.

    Parameters
    ----------
    A : ndarray, shape (R, d_in)
    B : ndarray, shape (d_out, R)
        float32 or float64.

    Returns
    -------
    norm_a, norm_b : ndarray, shape (R,)

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: arXiv:2509.17874v1, Assumption 1.

    Claims: ENG-3.
    """
    checks.float_arrays("factor_norms", A=(A, "R d_in"), B=(B, "d_out R"))
    return _norms(A, axis=1), _norms(B, axis=0)


def _norms(x, axis):
    """2-norms along an axis; scaled by powers of two, which is exact, so that no square overflows or vanishes."""
    exponents = np.frexp(np.max(np.abs(x), axis=axis, keepdims=True, initial=0))[1]
    return np.ldexp(np.linalg.norm(np.ldexp(x, -exponents), axis=axis), exponents.squeeze(axis))


def tail_energies(A, B):
    """The sum of the energies above each rank: norm(f(x; R) - f(x; r)) is at most tail[r - 1] norm(x).

    Parameters
    ----------
    A : ndarray, shape (R, d_in)
    B : ndarray, shape (d_out, R)
        float32 or float64.

    Returns
    -------
    ndarray, shape (R,)
        Rank r has element r - 1; the last one is 0.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: arXiv:2509.17874v1, Prop. 1, for one linear layer.

    Claims: ENG-2.
    """
    energies = component_energies(A, B)
    return np.append(np.cumsum(energies[:0:-1])[::-1], np.zeros(1, energies.dtype))


def non_increasing_share(values):
    """The share of neighbours values[i] >= values[i + 1]; 1 where the sequence is non-increasing throughout.

    Parameters
    ----------
    values : ndarray, shape (R,)
        Energies or norms, float32 or float64.

    Returns
    -------
    float, in [0, 1]
        1 for a single value.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Claims: ENG-3.
    """
    checks.float_arrays("non_increasing_share", values=(values, "R"))
    checks.not_empty("non_increasing_share", "values", values)
    return float(np.mean(values[:-1] >= values[1:])) if len(values) > 1 else 1.0
