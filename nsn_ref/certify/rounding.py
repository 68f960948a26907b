"""A number system whose numbers carry a bound on their rounding error.

An operation of `nsn_ref.ops` run on arrays of `Rounded` returns, beside each value, a bound on the error that *any*
floating-point evaluation of the same formula can have, whatever order it sums in and whether or not it fuses products
into sums. The bound is a running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
sec. 3.3) in which a sum stays open until it is used:

- a sum of t_1..t_n keeps sum |t_i| and the number of additions; in any order a term passes through at most n - 2
  partial sums before the last addition, which rounds the result itself, so the error is at most
  gamma_(n-2) sum |t_i| + u |result|;
- a product or square root rounds once: u |result|; a quotient twice, as the product with a reciprocal does (one that
  is not subnormal); a power of two scales exactly;
- an elementary function is allowed `ELEMENTARY_ULPS` u |result|; where the usual formulas cancel (1 + tanh, 1 - erf)
  the allowance is absolute.

The value v itself is one such evaluation, in float64: it lies within the bound e of the exact number, and any other
evaluation lies within e of that. Hence |exact| <= |v| + e and |computed| <= |v| + 2 e, which the propagation uses
throughout; a decision is taken only where v - 2 e and v + 2 e agree.

The unit roundoff u and the smallest normal number come from `precision`; subnormal results may be flushed to zero.
Overflow is not covered: a port whose intermediate results overflow has no bound.
"""

import contextlib
import contextvars
import functools
import math

import numpy as np

from nsn_ref.errors import NeedMorePrecision

ELEMENTARY_ULPS = 8

_FORMATS = {"float64": (2.0**-53, 2.0**-1022), "float32": (2.0**-24, 2.0**-126), "float16": (2.0**-11, 2.0**-14)}
_FORMAT = contextvars.ContextVar("format", default=_FORMATS["float64"])


@contextlib.contextmanager
def precision(dtype):
    """Count roundings to `dtype` ("float64", "float32" or "float16") inside the block."""
    token = _FORMAT.set(_FORMATS[str(dtype)])
    try:
        yield
    finally:
        _FORMAT.reset(token)


def rounded(array):
    """Exact numbers of a float array, as an object array of `Rounded`."""
    out = np.empty(np.shape(array), dtype=object)
    for index, value in np.ndenumerate(array):
        out[index] = Rounded(float(value))
    return out


def values(array):
    """The values of an array (or of one number), as float64."""
    return _collect(array, lambda x: x.v)


def errors(array):
    """The error bounds of an array (or of one number), as float64, rounded up."""
    return _collect(array, lambda x: x.error * (1 + 2.0**-30))


def _collect(array, get):
    array = np.asarray(array, dtype=object)
    out = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        out[index] = get(array[index])
    return out


def _yields_to_arrays(method):
    """Let NumPy apply `number * array` to each element, as it does by itself for `array * number`."""

    @functools.wraps(method)
    def operator(self, other):
        return NotImplemented if isinstance(other, np.ndarray) else method(self, other)

    return operator


class Rounded:
    """A value `v`, an error bound, and the open sum it may be part of."""

    __slots__ = ("v", "_e", "_magnitude", "_additions")

    def __init__(self, v, e=0.0, magnitude=None, additions=0):
        self.v = v
        self._e = e  # errors of the terms
        self._additions = additions  # additions not yet charged
        self._magnitude = abs(v) + 2 * e if magnitude is None else magnitude  # sum of |terms|, as computed anywhere

    @classmethod
    def from_number(cls, value):
        """A constant: exact where the format has it, else rounded once."""
        v = float(value)
        u, tiny = _FORMAT.get()
        significand = math.frexp(v)[0] / u if math.isfinite(v) else 0.0
        exact = v == value and significand == int(significand) and (v == 0 or abs(v) >= tiny)
        return cls(v) if exact else cls(v, u * abs(v) + tiny)

    @classmethod
    def pi(cls):
        """The number pi, rounded once."""
        return cls(math.pi, _FORMAT.get()[0] * math.pi)

    @property
    def error(self):
        """Bound on |computed - exact|, every addition charged."""
        n = self._additions
        if n == 0:
            return self._e
        u, tiny = _FORMAT.get()
        inner = self._e + _gamma(n - 1, u) * self._magnitude + n * tiny
        return (inner + u * (abs(self.v) + inner)) / (1 - u)

    def is_finite(self):
        """True where the value and its bound are finite."""
        return math.isfinite(self.v) and math.isfinite(self.error)

    def __repr__(self):
        return f"Rounded({self.v!r} +/- {self.error:.3g})"

    # --- arithmetic -------------------------------------------------------------------------------------------------

    @_yields_to_arrays
    def __add__(self, other):
        other = _lift(other)
        if other.is_zero():
            return self
        if self.is_zero():
            return other
        additions = self._additions + other._additions + 1
        return Rounded(self.v + other.v, self._e + other._e, self._magnitude + other._magnitude, additions)

    __radd__ = __add__

    def __neg__(self):
        return Rounded(-self.v, self._e, self._magnitude, self._additions)

    @_yields_to_arrays
    def __sub__(self, other):
        return self.closed() + -_lift(other).closed()

    def __rsub__(self, other):
        return _lift(other) - self

    @_yields_to_arrays
    def __mul__(self, other):
        a, b = self, _lift(other)
        if a.is_zero() or b.is_zero():
            return Rounded(0.0)
        ea, eb = a.error, b.error
        v = a.v * b.v
        e = abs(a.v) * eb + abs(b.v) * ea + 3 * ea * eb  # |a| <= |a.v| + ea, |b| <= |b.v| + eb
        scaled = (ea == 0 and _is_power_of_two(a.v)) or (eb == 0 and _is_power_of_two(b.v))
        return _scaled(v, e) if scaled else _round(v, e, 1)

    __rmul__ = __mul__

    @_yields_to_arrays
    def __truediv__(self, other):
        b = _lift(other)
        eb = b.error
        if not 4 * eb < abs(b.v):
            raise NeedMorePrecision(f"division by {b}, which may be zero")
        if self.is_zero():
            return self
        v = self.v / b.v
        quotient = (abs(self.v) + self.error) / (abs(b.v) - eb)
        e = (self.error + quotient * eb) / (abs(b.v) - 2 * eb)
        return _scaled(v, e) if eb == 0 and _is_power_of_two(b.v) else _round(v, e, 2)

    def __rtruediv__(self, other):
        return _lift(other) / self

    def __pow__(self, exponent):
        """By multiplications or by a library function, whichever is worse."""
        if exponent == 0:
            return Rounded(1.0)
        if exponent == 1 or self.is_zero():
            return self
        v, e = self.v**exponent, exponent * self.error * (abs(self.v) + 2 * self.error) ** (exponent - 1)
        scaled = self.error == 0 and _is_power_of_two(self.v)
        return _scaled(v, e) if scaled else _round(v, e, max(exponent - 1, ELEMENTARY_ULPS))

    def __gt__(self, other):
        difference = self - other
        if difference.v - 2 * difference.error > 0:
            return True
        if difference.v + 2 * difference.error <= 0:
            return False
        raise NeedMorePrecision(f"the sign of {difference} is undecided")

    def __le__(self, other):
        return not self > other

    def __float__(self):
        return self.v

    def closed(self):
        """The same number with its additions charged: it was stored before it was used."""
        return Rounded(self.v, self.error)

    def is_zero(self):
        """True where every evaluation gives exactly zero."""
        return self.v == 0 and self._magnitude == 0

    # --- elementary functions: (a bound on the slope) times the error of x, plus the function's own error ------------

    def exp(self):
        """e^x."""
        return _round(_exp(self.v), self._exp_error(), ELEMENTARY_ULPS)

    def expm1(self):
        """e^x - 1."""
        return _round(_exp(self.v, math.expm1), self._exp_error(), ELEMENTARY_ULPS)

    def log(self):
        """ln x."""
        lowest = self._lowest_positive()
        return _round(math.log(self.v), self.error / lowest, ELEMENTARY_ULPS)

    def log1p(self):
        """ln (1 + x)."""
        lowest = (Rounded(1.0) + self)._lowest_positive()
        return _round(math.log1p(self.v), self.error / lowest, ELEMENTARY_ULPS)

    def sqrt(self):
        """Square root; rounds once."""
        if self.is_zero():
            return self
        lowest = self._lowest_positive()
        return _round(math.sqrt(self.v), self.error / (2 * math.sqrt(lowest)), 1)

    def rsqrt(self):
        """1 / sqrt(x), which has instructions of its own."""
        lowest = self._lowest_positive()
        return _round(1 / math.sqrt(self.v), self.error / (2 * lowest) / math.sqrt(lowest), ELEMENTARY_ULPS)

    def tanh(self):
        """Hyperbolic tangent."""
        return _round(math.tanh(self.v), _sech_squared(self._nearest_to_zero()) * self.error, ELEMENTARY_ULPS)

    def logistic(self):
        """1 / (1 + e^-x); the allowance is absolute, so that (1 + tanh(x / 2)) / 2 may be used."""
        v = 1 / (1 + math.exp(-self.v)) if self.v > 0 else _exp(self.v) / (1 + _exp(self.v))
        slope = 0.25 * _sech_squared(self._nearest_to_zero() / 2)
        return _round(v, slope * self.error, ELEMENTARY_ULPS, scale=1.0)

    def erf(self):
        """Error function."""
        return _round(math.erf(self.v), self._erf_slope() * self.error, ELEMENTARY_ULPS)

    def erfc(self):
        """1 - erf(x); the allowance is absolute, so that the subtraction may be used."""
        return _round(math.erfc(self.v), self._erf_slope() * self.error, ELEMENTARY_ULPS, scale=1.0)

    def _exp_error(self):
        """The smaller of e^largest |difference| and e^largest: the second where x is very negative and inaccurate."""
        return _exp(self.v + 2 * self.error) * min(self.error, 1.0)

    def _erf_slope(self):
        return 2 / math.sqrt(math.pi) * math.exp(-(min(self._nearest_to_zero(), 26.0) ** 2))

    def _nearest_to_zero(self):
        return max(abs(self.v) - 2 * self.error, 0.0)

    def _lowest_positive(self):
        lowest = self.v - 2 * self.error
        if not 4 * lowest > self.v > 0:
            raise NeedMorePrecision(f"{self} may not be positive")
        return lowest


def _lift(x):
    return x if isinstance(x, Rounded) else Rounded.from_number(x)


def _gamma(n, u):
    return n * u / (1 - n * u)


def _round(v, e, ulps, scale=0.0):
    """Charge `ulps` roundings of the result (at least of `scale`), and a flush to zero."""
    u, tiny = _FORMAT.get()
    return Rounded(v, e + _gamma(ulps, u) * max(abs(v) + 2 * e, scale) + tiny)


def _scaled(v, e):
    """Charge no rounding, but a flush to zero where the result may be subnormal."""
    tiny = _FORMAT.get()[1]
    return Rounded(v, e if abs(v) - 2 * e >= tiny else e + tiny)


def _exp(x, function=math.exp):
    try:
        return function(x)
    except OverflowError:
        return math.inf


def _sech_squared(x):
    return 1 / math.cosh(min(x, 350)) ** 2


def _is_power_of_two(x):
    return x != 0 and math.isfinite(x) and abs(math.frexp(x)[0]) == 0.5
