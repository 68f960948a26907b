"""A number system whose numbers carry a bound on their rounding error.

An operation of `nsn_ref.ops` run on arrays of `Rounded` returns, beside each value, a bound on the error that *any*
floating-point evaluation of the same formula can have, whatever order it sums in and whether or not it fuses products
into sums. The bound is a running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
sec. 3.3) in which a sum stays open until it is used:

- a sum of t_1..t_n keeps sum |t_i| and the number of additions; in any order, n - 2 partial sums are each at most
  sum |t_i| in magnitude and the last addition rounds the result itself, so the error is at most
  (n - 2) u sum |t_i| + u |result|, to first order in u (second-order terms are covered by the gamma form used below);
- a product, quotient or square root rounds once: u |result|; a power of two scales exactly;
- an elementary function is allowed `ELEMENTARY_ULPS` u |result|; where the usual formulas cancel (1 + tanh, 1 - erf)
  the allowance is absolute.

The unit roundoff u and the smallest normal number come from `precision`; subnormal results may be flushed to zero.
"""

import contextlib
import contextvars
import math

import numpy as np

from nsn_ref.errors import NeedMorePrecision

ELEMENTARY_ULPS = 8

_FORMATS = {"float64": (2.0**-53, 2.0**-1022), "float32": (2.0**-24, 2.0**-126)}
_FORMAT = contextvars.ContextVar("format", default=_FORMATS["float64"])


@contextlib.contextmanager
def precision(dtype):
    """Count roundings to `dtype` ("float64" or "float32") inside the block."""
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


class Rounded:
    """A value `v`, an error bound, and the open sum it may be part of."""

    __slots__ = ("v", "_e", "_magnitude", "_additions")

    def __init__(self, v, e=0.0, magnitude=None, additions=0):
        self.v = v
        self._e = e  # errors of the terms
        self._additions = additions  # additions not yet charged
        self._magnitude = abs(v) + e if magnitude is None else magnitude  # sum of |terms|, errors included

    @classmethod
    def from_number(cls, value):
        """A constant, which a port may have to round to its format."""
        v = float(value)
        exact = v == int(v) if math.isfinite(v) else True
        return cls(v, 0.0 if exact else _FORMAT.get()[0] * abs(v))

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
        u = _FORMAT.get()[0]
        gamma = (n - 1) * u / (1 - n * u)
        inner = self._e + gamma * self._magnitude
        return inner + u * (abs(self.v) + inner)

    def is_finite(self):
        """True where the value and its bound are finite."""
        return math.isfinite(self.v) and math.isfinite(self.error)

    def __repr__(self):
        return f"Rounded({self.v!r} +/- {self.error:.3g})"

    # --- arithmetic -------------------------------------------------------------------------------------------------

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

    def __sub__(self, other):
        return self.closed() + -_lift(other).closed()

    def __rsub__(self, other):
        return _lift(other) - self

    def __mul__(self, other):
        a, b = self, _lift(other)
        ea, eb = a.error, b.error
        v = a.v * b.v
        e = abs(a.v) * eb + abs(b.v) * ea + ea * eb
        exact = (ea == 0 and _is_power_of_two(a.v)) or (eb == 0 and _is_power_of_two(b.v)) or (v == 0 and e == 0)
        return Rounded(v, e) if exact else _round(v, e, 1)

    __rmul__ = __mul__

    def __truediv__(self, other):
        b = _lift(other)
        eb = b.error
        if not eb < abs(b.v):
            raise NeedMorePrecision(f"division by {b}, which may be zero")
        v = self.v / b.v
        e = (self.error + abs(v) * eb) / (abs(b.v) - eb)
        exact = (eb == 0 and _is_power_of_two(b.v)) or (v == 0 and e == 0)
        return Rounded(v, e) if exact else _round(v, e, 1)

    def __rtruediv__(self, other):
        return _lift(other) / self

    def __pow__(self, exponent):
        power = self
        for _ in range(exponent - 1):
            power = power * self
        return power

    def __gt__(self, other):
        difference = self - other
        if difference.v - difference.error > 0:
            return True
        if difference.v + difference.error <= 0:
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

    # --- elementary functions: |f(x + e) - f(x)| by a bound on the slope, plus the function's own error --------------

    def exp(self):
        """e^x."""
        v = math.exp(self.v)
        return _round(v, v * math.expm1(self.error), ELEMENTARY_ULPS)

    def expm1(self):
        """e^x - 1."""
        return _round(math.expm1(self.v), math.exp(self.v) * math.expm1(self.error), ELEMENTARY_ULPS)

    def log(self):
        """ln x."""
        return _round(math.log(self.v), -math.log1p(-self._relative_error()), ELEMENTARY_ULPS)

    def log1p(self):
        """ln (1 + x)."""
        slope = 1 / (1 + self.v - self.error)
        return _round(math.log1p(self.v), slope * self.error, ELEMENTARY_ULPS)

    def sqrt(self):
        """Square root; rounds once."""
        if self.is_zero():
            return self
        v = math.sqrt(self.v)
        return _round(v, v * (1 - math.sqrt(1 - self._relative_error())), 1)

    def tanh(self):
        """Hyperbolic tangent."""
        slope = 1 - math.tanh(self._nearest_to_zero()) ** 2
        return _round(math.tanh(self.v), slope * self.error, ELEMENTARY_ULPS)

    def logistic(self):
        """1 / (1 + e^-x); the allowance is absolute, so that (1 + tanh(x / 2)) / 2 may be used."""
        half = 0.5 * (1 + math.tanh(self.v / 2)) if self.v > -30 else math.exp(self.v)
        slope = 0.25 / math.cosh(min(self._nearest_to_zero() / 2, 300)) ** 2
        return _round(half, slope * self.error, ELEMENTARY_ULPS, scale=1.0)

    def erf(self):
        """Error function."""
        return _round(math.erf(self.v), self._erf_slope() * self.error, ELEMENTARY_ULPS)

    def erfc(self):
        """1 - erf(x); the allowance is absolute, so that the subtraction may be used."""
        return _round(math.erfc(self.v), self._erf_slope() * self.error, ELEMENTARY_ULPS, scale=1.0)

    def _erf_slope(self):
        return 2 / math.sqrt(math.pi) * math.exp(-min(self._nearest_to_zero() ** 2, 700))

    def _nearest_to_zero(self):
        return max(abs(self.v) - self.error, 0.0)

    def _relative_error(self):
        if not self.error < self.v:
            raise NeedMorePrecision(f"{self} may not be positive")
        return self.error / self.v


def _lift(x):
    """A Python or NumPy number is exact: operations write only small integers as literals."""
    return x if isinstance(x, Rounded) else Rounded(float(x))


def _round(v, e, ulps, scale=0.0):
    """Charge `ulps` unit roundoffs of the result (at least of `scale`), and a flush to zero."""
    u, tiny = _FORMAT.get()
    return Rounded(v, e + ulps * u * max(abs(v) + e, scale) + tiny)


def _is_power_of_two(x):
    return x != 0 and math.isfinite(x) and abs(math.frexp(x)[0]) == 0.5
