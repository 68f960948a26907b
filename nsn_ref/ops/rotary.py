"""Rotary position embedding: pairs of coordinates are rotated by angles that grow with the position.

Half rotation: coordinate i is paired with i + P, for i < P, as in GPT-NeoX; coordinates from 2 P on stay as they are.
The inner product of a rotated query and a rotated key depends on the difference of their positions alone.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from nsn_ref import checks, scalars


class RotarySaved(NamedTuple):
    """What the backward pass needs."""

    cos: np.ndarray  # (n, T, P) or (T, P)
    sin: np.ndarray  # the shape of cos
    shape: tuple  # of x


def rotary_forward(x, cos, sin):
    """Rotate the first 2 P coordinates of every head.

    Parameters
    ----------
    x : ndarray, shape (n, T, H, D)
        Queries or keys of H heads.
    cos, sin : ndarray, shape (n, T, P) or (T, P), with 2 P <= D
        Of the angle of each position and pair (`rotary_tables`). They get no gradient.

    Returns
    -------
    y : ndarray, shape (n, T, H, D)
    saved : RotarySaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: Su et al., arXiv:2104.09864, Eq. 34, with the pairs (i, i + P) and the unrotated rest of GPT-NeoX
    (arXiv:2204.06745, sec. 2.1.1).
    """
    table = "n T P" if getattr(cos, "ndim", None) == 3 else "T P"
    sizes = checks.arrays("rotary_forward", x=(x, "n T H D"), cos=(cos, table), sin=(sin, table))
    checks.rotation("rotary_forward", sizes)
    return _rotate(x, cos, sin), RotarySaved(cos, sin, x.shape)


def rotary_backward(dy, saved):
    """Rotate back: a rotation's inverse is its transpose.

    Parameters
    ----------
    dy : ndarray, shape (n, T, H, D)
    saved : RotarySaved

    Returns
    -------
    dx : ndarray, shape (n, T, H, D)

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
    """
    cos, sin, shape = saved
    checks.cotangent("rotary_backward", dy, shape, like=cos)
    return _rotate(dy, cos, -sin)


def rotary_tables(positions, pairs, base, like):
    """Cosine and sine of the angle position base^(-i / pairs), for i < pairs.

    Floats are computed in float64 and rounded once, to the dtype of `like`: in float32 the angle itself would be wrong
    by 1e-4 at position 1,000.

    Parameters
    ----------
    positions : ndarray of integers, any shape
    pairs : int, >= 1
        P, half the number of rotated coordinates.
    base : float, > 0
        10,000 in the paper.
    like : ndarray
        The tables have its number type.

    Returns
    -------
    cos, sin : ndarray, shape (..., pairs), the leading axes those of positions

    Raises
    ------
    DTypeError, OptionError, NumberSystemError

    Notes
    -----
    Source: Su et al., arXiv:2104.09864, sec. 3.2.2, with i from 0.
    """
    checks.integer("rotary_tables", "pairs", pairs, 1)
    checks.between("rotary_tables", "base", base, 0, open_low=True)
    checks.integers("rotary_tables", "positions", positions)
    exact = scalars.is_object(like)
    wide = like if exact else np.empty(0, np.float64)
    log_base = scalars.log(scalars.number(base, wide))
    powers = [scalars.exp(log_base * scalars.number(Fraction(-i, pairs), wide)) for i in range(pairs)]
    angle = positions[..., None] * np.array(powers)
    tables = scalars.cos(angle), scalars.sin(angle)
    return tables if exact else tuple(table.astype(like.dtype) for table in tables)


def _rotate(x, cos, sin):
    P = cos.shape[-1]
    cos, sin = cos[..., None, :], sin[..., None, :]  # every head by the same angles
    first, second, rest = x[..., :P], x[..., P : 2 * P], x[..., 2 * P :]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin, rest], axis=-1)
