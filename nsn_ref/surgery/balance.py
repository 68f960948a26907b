"""The balanced gauge: factors rescaled so that norm(a_i) = norm(b_i)."""

import numpy as np

from nsn_ref import checks
from nsn_ref.analysis.energy import factor_norms


def balance(A, B):
    """Rescale a_i -> c_i a_i, b_i -> b_i / c_i so that their norms agree, which changes no W_r but by rounding.

    Where c_i is a power of two the products do not even round. A component with a zero factor contributes nothing at
    any scale and is left as it is: balancing would make both factors zero, and such a component no longer learns.

    Parameters
    ----------
    A : ndarray, shape (R, d_in)
    B : ndarray, shape (d_out, R)
        float32 or float64.

    Returns
    -------
    A : ndarray, shape (R, d_in)
    B : ndarray, shape (d_out, R)

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Claims: GAU-1, GAU-2, GAU-5, GAU-6, GAU-7.
    """
    checks.float_arrays("balance", A=(A, "R d_in"), B=(B, "d_out R"))
    norm_a, norm_b = factor_norms(A, B)
    alive = (norm_a > 0) & (norm_b > 0)
    (a, exponent_a), (b, exponent_b) = (np.frexp(np.where(alive, norm, 1)) for norm in (norm_a, norm_b))
    half, odd = np.divmod(exponent_b - exponent_a, 2)
    c = np.sqrt(np.ldexp(b / a, odd))  # c_i without its power of two, so that no quotient of norms overflows
    return np.ldexp(A, half[:, None]) * c[:, None], np.ldexp(B, -half) / c
