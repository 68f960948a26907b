"""Elementary functions over every number system that the reference runs on.

An operation of `nsn_ref.ops` is written once and runs on

=====================  ==========================================  =========================
number system          arrays                                      what it is for
=====================  ==========================================  =========================
float64, float32       ndarray of that dtype                       the reference itself
complex128             ndarray of that dtype                       complex-step derivatives
fractions.Fraction     ndarray of dtype object                     exact algebra
flint.arb              ndarray of dtype object                     rigorous enclosures
certify.Rounded        ndarray of dtype object                     rounding-error bounds
=====================  ==========================================  =========================

NumPy's own `maximum`, `where`, `argmax` and `isfinite` either refuse objects or silently decide a comparison of
balls that is undecided, so operations call the functions of this module only. An undecided comparison raises
`NeedMorePrecision`. Object elements are asked for a method of the function's name (`x.exp()`), which `arb` and
`Rounded` have; `Fraction` has none, and `NumberSystemError` says so.

Complex numbers are compared by their real part, as the complex-step derivative needs. Complex erf and erfc come from
`flint.acb`: SciPy's are accurate to 1e-13 only, a thousand roundings.
"""

import math
from fractions import Fraction

import numpy as np

from nsn_ref.certify.balls import working_precision
from nsn_ref.errors import NeedMorePrecision, NumberSystemError

COMPLEX_BITS = 1280  # to resolve a part 2^-300 times the other (certify.complex_step.STEP), cubed in a Taylor term

__all__ = [
    "argmax", "at_ranks", "cos", "erf", "erfc", "exp", "expm1", "isfinite", "largest", "log", "log1p", "log_softmax",
    "logistic", "masked_softmax", "maximum", "number", "number_type", "one_hot", "pi", "positive", "rows", "rsqrt",
    "sin", "sqrt", "sum_by_rank", "tanh", "where", "zeros", "zeros_like",
]  # fmt: skip


def is_object(x):
    """True for a Fraction, arb or Rounded, and for an array of them."""
    return x.dtype == object if isinstance(x, np.ndarray) else not isinstance(x, (int, float, complex, np.generic))


def number_type(x):
    """The type of the elements: a NumPy scalar type, or the Python type of the objects."""
    if isinstance(x, np.ndarray):
        if x.dtype != object:
            return x.dtype.type
        return type(x.flat[0]) if x.size else object
    return type(x)


# --- numbers and arrays ---------------------------------------------------------------------------------------------


def number(value, like):
    """`value` (an int, float or Fraction) in the number system of `like`.

    Beside floats it is a Python float: NumPy keeps the array's dtype, and what is computed from constants alone
    (1 - beta) is rounded to that dtype once.
    """
    kind = number_type(like)
    if issubclass(kind, (float, complex, np.inexact)):
        return float(value)
    if kind in (Fraction, object):
        return Fraction(value)
    if hasattr(kind, "from_number"):
        return kind.from_number(value)
    if isinstance(value, Fraction):  # arb: the quotient of two exact integers
        return kind(value.numerator) / kind(value.denominator)
    return kind(value)


def pi(like):
    """The number pi in the number system of `like`."""
    kind = number_type(like)
    if kind is Fraction:
        raise NumberSystemError("pi: is not a rational number, so it does not exist over Fractions")
    return kind.pi() if hasattr(kind, "pi") else number(math.pi, like)


def zeros(shape, like):
    """An array of zeros of `like`'s number type."""
    if not is_object(like):
        return np.zeros(shape, dtype=number_type(like))
    out = np.empty_like(like, order="C", shape=shape) if isinstance(like, np.ndarray) else np.empty(shape, dtype=object)
    out.fill(number(0, like))
    return out


def zeros_like(x):
    """Zeros with the shape and number type of `x`."""
    return zeros(x.shape, x)


def one_hot(labels, classes, like):
    """Rows of the identity: shape labels.shape + (classes,), in the number system of `like`."""
    out = zeros(labels.shape + (classes,), like)
    np.put_along_axis(out, labels[..., None], number(1, like), axis=-1)
    return out


def at_ranks(x, ranks):
    """The elements of x, shape (R,), at K ranks: rank r has x[r - 1]."""
    return x[np.array(ranks) - 1]


def sum_by_rank(x, ranks, R):
    """The adjoint of `at_ranks`: add K numbers up by their ranks, into shape (R,)."""
    out = zeros(R, x)
    for k, r in enumerate(ranks):
        out[r - 1] = out[r - 1] + x[k]
    return out


def rows(x):
    """Merge the leading axes: (..., d) to (n, d)."""
    return x.reshape(-1, x.shape[-1])


# --- elementary functions -------------------------------------------------------------------------------------------


def _elementwise(name, float_function):
    def apply(x):
        if not is_object(x):
            y = float_function(x)
            return float(y) if type(x) is float else y  # a constant stays a Python float: NumPy keeps the array's dtype
        if number_type(x) is Fraction:
            raise NumberSystemError(f"{name}: not a rational function, so it does not exist over Fractions")
        if isinstance(x, np.ndarray):
            return _map(one, x)
        return one(x)

    def one(element):
        if name == "logistic" and not hasattr(element, name):  # arb has none
            return 1 / (1 + (-element).exp())
        return getattr(element, name)()

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = f"Elementwise {name}, in the number system of x."
    return apply


def _map(function, *arrays):
    """Apply to each element of object arrays; unlike np.frompyfunc it keeps 0-d arrays arrays."""
    arrays = np.broadcast_arrays(*arrays, subok=True)
    out = np.empty_like(arrays[0], order="C")
    for index in np.ndindex(out.shape):
        out[index] = function(*(a[index] for a in arrays))
    return out


def _special(name):
    def call(x):
        if np.iscomplexobj(x):
            return _by_complex_balls(name, x)
        import scipy.special  # 0.2 s to import: only when used

        return getattr(scipy.special, name)(x)

    return call


def _by_complex_balls(name, x):
    import flint

    x = np.asarray(x)
    out = np.empty_like(x)
    with working_precision(COMPLEX_BITS):
        for index, element in np.ndenumerate(x):
            out[index] = complex(getattr(flint.acb(complex(element)), name)())
    return out[()]


def _log1p(x):
    if not np.iscomplexobj(x):
        return np.log1p(x)
    re, im = np.real(x), np.imag(x)
    return np.log1p(re * (2 + re) + im * im) / 2 + 1j * np.arctan2(im, 1 + re)  # NumPy's rounds 1 + x first


def _logistic(x):
    if not np.iscomplexobj(x):
        return _special("expit")(x)
    right = np.real(x) > 0
    e = np.exp(np.where(right, -x, x))  # never overflows
    return np.where(right, 1, e) / (1 + e)


cos = _elementwise("cos", np.cos)
exp = _elementwise("exp", np.exp)
expm1 = _elementwise("expm1", np.expm1)
log = _elementwise("log", np.log)
log1p = _elementwise("log1p", _log1p)
logistic = _elementwise("logistic", _logistic)
rsqrt = _elementwise("rsqrt", lambda x: 1 / np.sqrt(x))
sin = _elementwise("sin", np.sin)
sqrt = _elementwise("sqrt", np.sqrt)
tanh = _elementwise("tanh", np.tanh)
erf = _elementwise("erf", _special("erf"))
erfc = _elementwise("erfc", _special("erfc"))


# --- decisions ------------------------------------------------------------------------------------------------------


def _decide_positive(element):
    if element > 0:
        return True
    if element <= 0:
        return False
    raise NeedMorePrecision(f"the sign of {element} is undecided")


def positive(x):
    """Where x > 0, as booleans. A ball that straddles zero raises `NeedMorePrecision`; complex goes by real part."""
    if is_object(x):
        return _map(_decide_positive, np.asarray(x, dtype=object)).astype(bool)
    return np.real(x) > 0


def where(condition, x, y):
    """Elementwise choice by a boolean array that is already decided."""
    return np.where(condition, x, y)


def maximum(x, y):
    """Elementwise larger of two, decided by `positive(x - y)`."""
    return where(positive(x - y), x, y)


def argmax(x):
    """Index of the largest element along the last axis; the first one among equals.

    Raises `NeedMorePrecision` where balls overlap.
    """
    if not is_object(x):
        return np.argmax(np.real(x), axis=-1)
    best = np.zeros(x.shape[:-1], dtype=np.intp)
    for index in np.ndindex(best.shape):
        row = x[index]
        for j in range(1, len(row)):
            if _decide_positive(row[j] - row[best[index]]):
                best[index] = j
    return best


def _midpoint(element):
    return float(element.mid()) if hasattr(element, "mid") else float(element)


def largest(x, among=True):
    """A constant near the largest element of the last axis, (..., 1): a shift that keeps exponentials in range.

    It carries no derivative and no error: a softmax may be shifted by any constant, so an undecided comparison of
    balls or the imaginary part of a complex step plays no role. `among` are booleans: only these elements count, and
    where there is none the constant is 0.
    """
    among = np.broadcast_to(among, x.shape)
    if not is_object(x):
        top = np.max(np.real(x), axis=-1, keepdims=True, where=among, initial=-np.inf)
        return np.where(among.any(axis=-1, keepdims=True), top, top.dtype.type(0))
    pairs = zip(rows(x), rows(among), strict=True)
    top = [max((_midpoint(element) for element in row[counts]), default=0) for row, counts in pairs]
    out = np.empty(len(top), dtype=object)
    out[:] = [number(value, x) for value in top]
    return out.reshape(x.shape[:-1] + (1,))


def masked_softmax(z, seen):
    """Softmax over those elements of the last axis that are seen; the others, and a row of none, are exactly 0.

    A single one is exactly 1, for balls too.
    """
    shift, count = largest(z, seen), seen.sum(axis=-1, keepdims=True)
    e = where(seen, exp(where(seen, z, shift) - shift), number(0, z))
    total = where(count > 0, e.sum(axis=-1, keepdims=True), number(1, z))
    return where(seen & (count == 1), number(1, z), e / total)


def log_softmax(z):
    """ln (exp(z) / sum of exp(z)) over the last axis, for z of any size."""
    z = z - largest(z)  # softmax(z) = softmax(z - m) for any constant m
    return z - log(exp(z).sum(axis=-1, keepdims=True))


def isfinite(x):
    """True where every element is a finite number (one bool for the whole array)."""
    if not is_object(x):
        return bool(np.all(np.isfinite(x)))
    return all(element.is_finite() for element in np.ravel(x) if hasattr(element, "is_finite"))
