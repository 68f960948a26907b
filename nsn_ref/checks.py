"""Validation of arguments: one call on an operation's first lines. Kernels never validate.

Every message has the same form: function, argument, what was got, what was expected.
"""

import math
from fractions import Fraction

import numpy as np

from nsn_ref import scalars
from nsn_ref.errors import DTypeError, LabelError, NonFiniteError, OptionError, RankError, ShapeError

FLOATS = (np.float32, np.float64, np.complex128)
UNLIKE = (np.matrix, np.ma.MaskedArray)  # subclasses of ndarray whose products are other ones


def arrays(function, **named):
    """Check that arrays agree in shape and number type and are finite; return the sizes of their axes.

    Parameters
    ----------
    function : str
        Name for the messages.
    **named : (ndarray, str)
        Array and the names of its axes, in the order of the function's arguments: ``x=(x, "... d_in")``. A name seen
        before must have the same size again; ``...`` stands for one leading axis or more, the same ones in every
        array; a number stands for itself.

    Returns
    -------
    dict of str to int
        The size of every named axis; ``"..."`` maps to the tuple of the leading ones.

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError
    """
    sizes = {}
    first = None
    for name, (array, axes) in named.items():
        first = first or (name, array)
        _number_type(function, name, array, *first)
        _shape(function, name, array, axes.split(), sizes)
        _finite(function, name, array)
    return sizes


def axes(function, **named):
    """As `arrays`, of shapes alone.

    Raises
    ------
    ShapeError
    """
    sizes = {}
    for name, (array, expected) in named.items():
        _shape(function, name, array, expected.split(), sizes)
    return sizes


def _finite(function, name, array):
    if not scalars.isfinite(array):
        raise NonFiniteError(f"{function}: {name} has NaN or infinity, expected finite numbers")


def _number_type(function, name, array, first_name, first):
    if not isinstance(array, np.ndarray) or isinstance(array, UNLIKE):
        raise DTypeError(f"{function}: {name} is a {type(array).__name__}, expected a numpy.ndarray")
    if array.dtype == object:
        kinds = {type(element) for element in array.flat}
        bad = [kind.__name__ for kind in kinds if kind is not Fraction and not hasattr(kind, "exp")]
        if bad or len(kinds) > 1:
            got = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise DTypeError(f"{function}: {name} holds objects of type {got}, expected all Fraction or all arb")
    elif array.dtype.type not in FLOATS:
        raise DTypeError(
            f"{function}: {name} has dtype {array.dtype}, expected float32, float64, complex128, "
            "or an object array of Fraction or flint.arb"
        )
    if array.size and first.size and scalars.number_type(array) is not scalars.number_type(first):
        raise DTypeError(
            f"{function}: {name} holds {scalars.number_type(array).__name__}, "
            f"expected {scalars.number_type(first).__name__} as {first_name} does"
        )


def _shape(function, name, array, axes, sizes):
    leading = axes[:1] == ["..."]
    trailing = axes[leading:]
    split = array.ndim - len(trailing)
    fits = split >= 1 if leading else split == 0
    found = dict(zip(trailing, array.shape[split:], strict=True)) if fits else {}
    if leading and fits:
        found["..."] = array.shape[:split]
    known = {axis: int(axis) for axis in trailing if axis.isdigit()} | sizes
    if not fits or any(known.get(axis, size) != size for axis, size in found.items()):
        names = ", ".join(axes)
        values = ", ".join(_axis(axis, known) for axis in axes)
        detail = f" = ({values})" if values != names else ""
        raise ShapeError(f"{function}: {name} has shape {array.shape}, expected ({names}){detail}")
    sizes.update(found)


def _axis(axis, known):
    value = known.get(axis, axis)
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def cotangent(function, dy, shape, like, name="dy"):
    """Check the cotangent of an output: the output's shape, the number type of `like`, finite.

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError
    """
    _number_type(function, name, dy, "the saved context", like)
    if dy.shape != shape:
        raise ShapeError(f"{function}: {name} has shape {dy.shape}, expected {shape}, the shape of the output")
    _finite(function, name, dy)


def alike(function, **named):
    """Check that arrays have one shape and one number type, and are finite.

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError
    """
    (first_name, first), *rest = named.items()
    _number_type(function, first_name, first, first_name, first)
    for name, array in rest:
        _number_type(function, name, array, first_name, first)
        if array.shape != first.shape:
            raise ShapeError(f"{function}: {name} has shape {array.shape}, expected {first.shape} as {first_name} has")
    for name, array in named.items():
        _finite(function, name, array)


def real_floats(function, name, array):
    """Check for float32 or float64, where an operation exists in no other number system.

    Raises
    ------
    DTypeError
    """
    if not isinstance(array, np.ndarray) or array.dtype.type not in (np.float32, np.float64):
        got = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else f"type {type(array).__name__}"
        raise DTypeError(f"{function}: {name} has {got}, expected an ndarray of float32 or float64")


def float_arrays(function, **named):
    """`arrays`, for an operation that exists over float32 and float64 only.

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError
    """
    for name, (array, _) in named.items():
        real_floats(function, name, array)
    return arrays(function, **named)


def number(function, name, value, like):
    """Check the cotangent of a scalar: one finite number of the number type of `like`.

    A Python int is exact in every number system; a Python float may stand beside floats, where it changes no dtype.

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError
    """
    kind = scalars.number_type(like)
    plain = type(value) is int or (type(value) is float and not scalars.is_object(like))
    if not plain and scalars.number_type(value) is not kind:
        raise DTypeError(f"{function}: {name} is a {type(value).__name__}, expected a {kind.__name__}")
    if np.ndim(value):
        raise ShapeError(f"{function}: {name} has shape {value.shape}, expected a number")
    _finite(function, name, value)


def attention(function, sizes, mask, scale, window):
    """Check what attention takes beside its arrays: `sizes` of T queries and H heads, S keys and G heads.

    Raises
    ------
    ShapeError, DTypeError, OptionError
    """
    T, H, S, G = (sizes[axis] for axis in "THSG")
    if S < T or G == 0 or H % G:
        raise ShapeError(
            f"{function}: k has {S} positions and {G} heads, expected at least the {T} positions of q and a divisor of "
            f"its {H} heads"
        )
    if mask is not None:
        booleans(function, "mask", mask, (sizes["n"], S))
    if scale is not None:
        between(function, "scale", scale)
    if window is not None:
        integer(function, "window", window, 1)


def rotation(function, sizes):
    """Check that a rotation of P pairs of coordinates fits into heads of width D.

    Raises
    ------
    ShapeError
    """
    P, D = sizes["P"], sizes["D"]
    if 2 * P > D:
        raise ShapeError(f"{function}: cos has {P} columns, expected P with 2 P <= D = {D}, the width of a head of x")


def not_empty(function, name, array):
    """Check that an array has an element: the mean over none does not exist.

    Raises
    ------
    ShapeError
    """
    if array.size == 0:
        raise ShapeError(f"{function}: {name} has shape {array.shape}, expected at least one element")


def above_zero(function, name, array):
    """Check that every element of an array is positive.

    Raises
    ------
    OptionError
    """
    bad = ~scalars.positive(array)
    if bad.any():
        raise OptionError(f"{function}: {name} has the element {array[bad][0]}, expected numbers > 0")


def rank(function, value, R, name="rank"):
    """Check that a rank is an integer in 1..R.

    Raises
    ------
    RankError
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value <= R:
        raise RankError(f"{function}: {name} is {value!r}, expected an integer in 1..{R}")


def ranks(function, values, R):
    """Check a non-empty sequence of ranks, each an integer in 1..R, in any order, duplicates allowed.

    Raises
    ------
    RankError
    """
    if not isinstance(values, (tuple, list, np.ndarray)) or len(values) == 0:
        raise RankError(f"{function}: ranks is {values!r}, expected a non-empty sequence of integers in 1..{R}")
    if {*map(type, values)} == {int} and 1 <= min(values) <= max(values) <= R:
        return  # of many ranks each one's own check takes longer than a small layer
    for k, value in enumerate(values):
        rank(function, value, R, name=f"ranks[{k}]")


def losses_at_ranks(function, losses, at, **by_rank):
    """Check K losses, the K ranks that they belong to, and an array of one number for each rank 1..R.

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError, RankError
    """
    ((name, array),) = by_rank.items()
    sizes = arrays(function, losses=(losses, "K"), **{name: (array, "R")})
    ranks(function, at, sizes["R"])
    if sizes["K"] != len(at):
        got = f"losses has shape {losses.shape}"
        raise ShapeError(f"{function}: {got}, expected (K,) = ({len(at)},), one for each of ranks")


def labels(function, name, array, shape, classes, ignore_index=None):
    """Check integer labels in 0..classes-1 (or equal to `ignore_index`) of the given shape (None: of any shape).

    Raises
    ------
    DTypeError, ShapeError, LabelError
    """
    integers(function, name, array)
    if shape is not None and array.shape != shape:
        raise ShapeError(f"{function}: {name} has shape {array.shape}, expected {shape}")
    bad = (array < 0) | (array >= classes)
    if ignore_index is not None:
        bad &= array != ignore_index
    if bad.any():
        raise LabelError(f"{function}: {name} has the label {array[bad][0]}, expected integers in 0..{classes - 1}")


def integers(function, name, array):
    """Check for an array of integers.

    Raises
    ------
    DTypeError
    """
    _kind(function, name, array, "iu", "integers")


def booleans(function, name, array, shape):
    """Check for an array of booleans of the given shape.

    Raises
    ------
    DTypeError, ShapeError
    """
    _kind(function, name, array, "b", "booleans")
    if array.shape != shape:
        raise ShapeError(f"{function}: {name} has shape {array.shape}, expected {shape}")


def _kind(function, name, array, kinds, expected):
    if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds:
        got = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else f"type {type(array).__name__}"
        raise DTypeError(f"{function}: {name} has {got}, expected an ndarray of {expected}")


def choice(function, name, value, allowed):
    """Check that an option is one of the allowed names.

    Raises
    ------
    OptionError
    """
    if value not in allowed:
        raise OptionError(f"{function}: {name} is {value!r}, expected one of {', '.join(map(repr, allowed))}")


def between(function, name, value, low=-math.inf, high=math.inf, *, open_low=False, open_high=False):
    """Check that a real option lies in an interval; NaN and infinity never do.

    Raises
    ------
    OptionError
    """
    open_low, open_high = open_low or low == -math.inf, open_high or high == math.inf
    number = isinstance(value, (int, float, Fraction, np.floating, np.integer)) and not isinstance(value, bool)
    inside = number and (low < value if open_low else low <= value) and (value < high if open_high else value <= high)
    if not inside:
        interval = f"{'(' if open_low else '['}{low}, {high}{')' if open_high else ']'}"
        raise OptionError(f"{function}: {name} is {value!r}, expected a number in {interval}")


def integer(function, name, value, low=None, high=None):
    """Check that an option is an integer, where given of at least `low` and at most `high`.

    Raises
    ------
    OptionError
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or (low is not None and value < low) or (high is not None and value > high):
        span = "" if low is None else f" of at least {low}" if high is None else f" in {low}..{high}"
        raise OptionError(f"{function}: {name} is {value!r}, expected an integer{span}")


def pair(function, name, value, low):
    """Check an option for two axes: one integer of at least `low`, or a pair of them; return the pair.

    Raises
    ------
    OptionError
    """
    values = value if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2:
        raise OptionError(f"{function}: {name} is {value!r}, expected an integer or a pair of integers")
    for one in values:
        integer(function, name, one, low)
    return tuple(map(int, values))
