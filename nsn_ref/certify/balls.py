"""Correctly rounded results by ball arithmetic.

An operation run on arrays of `flint.arb` encloses its exact result. The precision is doubled until every ball rounds
to one float64: then that float64 is the correctly rounded result, the same bytes on every machine. Rounding is to
nearest, ties to even; a zero is written +0, whether the result is zero or only too small for a float64.
"""

import contextlib
import math

import numpy as np

from nsn_ref.errors import NeedMorePrecision, NonFiniteError

FIRST_PRECISION = 128  # bits
LAST_PRECISION = 4096


def to_balls(array):
    """Exact balls of a float array (integers and labels are returned as they are)."""
    import flint

    if array.dtype.kind in "iub":
        return array
    out = np.empty(array.shape, dtype=object)
    for index, value in np.ndenumerate(array):
        out[index] = flint.arb(float(value))
    return out


def certified(function, *arrays):
    """Correctly rounded outputs of `function` on float inputs.

    Parameters
    ----------
    function : callable
        Takes the arrays as balls; returns a dict of str to array or number.
    *arrays : ndarray
        Floats (exact inputs) or integers (passed on unchanged).

    Returns
    -------
    dict of str to ndarray, float64

    Raises
    ------
    NeedMorePrecision
        Undecided at 4,096 bits: an inexact ball around a tie, or a comparison of equal numbers computed differently.
    NonFiniteError
        A result is above the largest float64.
    """
    bits = FIRST_PRECISION
    while True:
        try:
            with working_precision(bits):
                return {name: _nearest(name, value) for name, value in function(*map(to_balls, arrays)).items()}
        except NeedMorePrecision as undecided:
            if bits >= LAST_PRECISION:
                raise NeedMorePrecision(f"undecided at {bits} bits: {undecided}") from None
            bits *= 2


@contextlib.contextmanager
def working_precision(bits):
    """Evaluate balls at `bits` bits inside the block."""
    import flint

    before, flint.ctx.prec = flint.ctx.prec, bits
    try:
        yield
    finally:
        flint.ctx.prec = before


def _nearest(name, balls):
    balls = np.asarray(balls, dtype=object)
    out = np.empty(balls.shape)
    for index in np.ndindex(balls.shape):
        low, high = float(balls[index].lower()), float(balls[index].upper())
        if not low == high:
            raise NeedMorePrecision(f"{name}{list(index)} = {balls[index]} rounds to {low!r} or to {high!r}")
        if math.isinf(low):
            raise NonFiniteError(f"certified: {name}{list(index)} = {balls[index]}, expected the range of float64")
        out[index] = low + 0.0  # -0 becomes +0
    return out
