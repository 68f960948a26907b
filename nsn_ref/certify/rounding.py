"""A number system whose numbers carry a bound on their rounding error.

An operation of `nsn_ref.ops` run on arrays of `Rounded` returns, beside each value, a bound on the error that *any*
floating-point evaluation of the same formula can have, whatever order it sums in and whether or not it fuses products
into sums. The bound is a running error analysis (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
sec. 3.3) in which a sum stays open until it is used:

- a sum of t_1..t_n keeps sum |t_i| and the number of additions; in any order a term passes through at most n - 2
  partial sums before the last addition, which rounds the result itself, so the error is at most
  gamma_(n-2) sum |t_i| + u |result|; a flush to zero moves a partial sum, which the later ones then round;
- a product or square root rounds once: u |result|; a quotient twice, as the product with a reciprocal does (one that
  is not subnormal); a power of two scales exactly;
- an elementary function is allowed `ELEMENTARY_ULPS` u |result|; where the usual formulas cancel (1 + tanh, 1 - erf)
  the allowance is absolute.

The value v itself is one such evaluation, in float64: it lies within the bound e of the exact number, and any other
evaluation lies within e of that. Hence |exact| <= |v| + e and |computed| <= |v| + 2 e, which the propagation uses
throughout; a decision is taken only where v - 2 e and v + 2 e agree.

The unit roundoff u and the smallest normal number come from `precision`; subnormal results may be flushed to zero.
Overflow is not covered: a port whose intermediate results overflow has no bound.

Where one format does everything, that is all. Under a contract with several, numbers lie in a `ContractArray`, which
charges a product of matrices (operand, accumulator, storage) and a sum over an axis by their own formats, and
everything else by that of elementwise arithmetic; `stored` marks where a number may be rounded to the storage format.
"""

import contextlib
import contextvars
import functools
import math
from typing import NamedTuple

import numpy as np

from nsn_ref.certify import formats
from nsn_ref.errors import NeedMorePrecision

ELEMENTARY_ULPS = 8
BLOCK = 4  # products that a tensor core adds at once, at least: each block costs two more truncations


class Arithmetic(NamedTuple):
    """A contract, as this module reads it."""

    current: formats.Format  # what a number is rounded to where nothing else is said
    storage: formats.Format
    master: formats.Format
    operand: formats.Format
    accumulator: formats.Format
    elementwise: formats.Format
    batch_sum: formats.Format
    optimizer: formats.Format
    truncating: bool = False
    flush_to_zero: bool = True
    merged_weights: bool = True
    ulps: int = ELEMENTARY_ULPS

    def tiny(self, f):
        """The largest error of a result that is not a normal number of the format."""
        return f.smallest_normal if self.flush_to_zero else f.half_quantum

    @property
    def is_mixed(self):
        """Whether some kind of arithmetic is not like the others."""
        return len(set(self[: len(_KINDS) + 1])) > 1 or self.truncating


_KINDS = ("storage", "master", "operand", "accumulator", "elementwise", "batch_sum", "optimizer")


def _arithmetic(contract):
    if isinstance(contract, Arithmetic):
        return contract
    if isinstance(contract, str):
        return Arithmetic(*[formats.named(contract)] * (len(_KINDS) + 1))
    kinds = [formats.named(getattr(contract, kind)) for kind in _KINDS]
    promises = contract.truncating, contract.flush_to_zero, contract.merged_weights, contract.ulps
    return Arithmetic(kinds[0], *kinds, *promises)


_FLOAT64 = _arithmetic("float64")
_ARITHMETIC = contextvars.ContextVar("arithmetic", default=_FLOAT64)
_FORMAT = contextvars.ContextVar("format", default=(2.0**-53, 2.0**-1022))  # u and tiny of the current format


@contextlib.contextmanager
def precision(contract):
    """Count roundings by a contract (`golden.contracts.Contract`), or all to one format, by its name."""
    arithmetic = _arithmetic(contract)
    f = arithmetic.current
    tokens = _ARITHMETIC.set(arithmetic), _FORMAT.set((f.unit_roundoff, arithmetic.tiny(f)))
    try:
        yield
    finally:
        _ARITHMETIC.reset(tokens[0])
        _FORMAT.reset(tokens[1])


def inside(kind):
    """Inside the block plain arithmetic is of that kind: "elementwise", "optimizer" or "storage"."""
    arithmetic = _ARITHMETIC.get()
    return precision(arithmetic._replace(current=getattr(arithmetic, kind)))


def arithmetic():
    """The contract in force."""
    return _ARITHMETIC.get()


def rounded(array):
    """Exact numbers of a float array, as an object array of `Rounded`."""
    array = np.asarray(array)
    return of_numbers([Rounded(float(value)) for value in array.ravel().tolist()], array.shape)


def of_numbers(numbers, shape):
    """A list of numbers as the kind of array that the contract in force calls for."""
    out = objects(numbers, shape)
    return out.view(ContractArray) if _ARITHMETIC.get().is_mixed else out


def values(array):
    """The values of an array (or of one number), as float64."""
    return _collect(array, lambda x: x.v)


def errors(array):
    """The error bounds of an array (or of one number), as float64, rounded up."""
    return _collect(array, lambda x: x.error * (1 + 2.0**-30))


def _collect(array, get):
    array = np.asarray(array, dtype=object)
    return np.array([get(x) for x in array.ravel().tolist()], dtype=np.float64).reshape(array.shape)


def objects(numbers, shape):
    """An object array of a list; NumPy's own constructor asks each number whether it is a sequence."""
    out = np.empty(len(numbers), dtype=object)
    out[:] = numbers
    return out.reshape(shape)


def yields_to_arrays(method):
    """Let NumPy apply `number * array` to each element, as it does by itself for `array * number`."""

    @functools.wraps(method)
    def operator(self, other):
        return NotImplemented if isinstance(other, np.ndarray) else method(self, other)

    return operator


UNROUNDED = 64  # bits of a number that no format has been charged for


class Rounded:
    """A value `v`, an error bound, and the open sum it may be part of.

    Claims: FLT-1, FLT-5, FLT-6.
    """

    __slots__ = ("v", "_e", "_magnitude", "_additions", "bits")

    def __init__(self, v, e=0.0, magnitude=None, additions=0, bits=UNROUNDED):
        self.v = v
        self._e = e  # errors of the terms
        self._additions = additions  # additions not yet charged
        self.bits = bits  # of the shortest format that it has been rounded to, and charged for
        self._magnitude = abs(v) + 2 * e if magnitude is None else magnitude  # sum of |terms|, as computed anywhere

    @classmethod
    def from_number(cls, value):
        """A constant: exact where the format has it, else rounded once."""
        v = float(value)
        u, tiny = _FORMAT.get()
        if math.isfinite(v) and v == value and _ARITHMETIC.get().current.holds(v):
            return cls(v)
        return cls(v, u * abs(v) + tiny, bits=_ARITHMETIC.get().current.bits)

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
        flushes = n * tiny
        inner = self._e + _gamma(n - 1, u) * (self._magnitude + flushes) + flushes
        return (inner + u * (abs(self.v) + inner)) / (1 - u)

    def is_finite(self):
        """True where the value and its bound are finite."""
        return math.isfinite(self.v) and math.isfinite(self.error)

    def __repr__(self):
        return f"Rounded({self.v!r} +/- {self.error:.3g})"

    # --- arithmetic -------------------------------------------------------------------------------------------------

    @yields_to_arrays
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
        return Rounded(-self.v, self._e, self._magnitude, self._additions, self.bits)

    @yields_to_arrays
    def __sub__(self, other):
        return self.closed() + -_lift(other).closed()

    def __rsub__(self, other):
        return _lift(other) - self

    @yields_to_arrays
    def __mul__(self, other):
        a, b = self, _lift(other)
        if a.is_zero() or b.is_zero():
            return Rounded(0.0)
        ea, eb = a.error, b.error
        v = a.v * b.v
        e = abs(a.v) * eb + abs(b.v) * ea + 3 * ea * eb  # |a| <= |a.v| + ea, |b| <= |b.v| + eb
        scaled = (ea == 0 and _is_power_of_two(a.v)) or (eb == 0 and _is_power_of_two(b.v))
        return _scaled(v, e, self, b) if scaled else _round(v, e, 1)

    __rmul__ = __mul__

    @yields_to_arrays
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
        return _scaled(v, e, self) if eb == 0 and _is_power_of_two(b.v) else _round(v, e, 2)

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
        if scaled:
            return _scaled(v, e, self)
        return Rounded(v, max(_round(v, e, exponent - 1).error, _function(v, e).error), bits=_current_bits())

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
        return Rounded(self.v, self.error, bits=_current_bits()) if self._additions else self

    def in_format(self, f):
        """The same number rounded to a format, unless it has been already."""
        x = self.closed()
        if (x.error == 0 and f.holds(x.v)) or x.bits <= f.bits:
            return x
        return Rounded(x.v, float(_storing(x.v, x.error, f)), bits=f.bits)

    def is_zero(self):
        """True where every evaluation gives exactly zero."""
        return self.v == 0 and self._magnitude == 0

    # --- elementary functions: (a bound on the slope) times the error of x, plus the function's own error ------------

    def exp(self):
        """e^x."""
        return _function(_exp(self.v), self._exp_error())

    def expm1(self):
        """e^x - 1."""
        return _function(_exp(self.v, math.expm1), self._exp_error())

    def log(self):
        """ln x."""
        lowest = self._lowest_positive()
        return _function(math.log(self.v), self.error / lowest)

    def log1p(self):
        """ln (1 + x)."""
        lowest = (Rounded(1.0) + self)._lowest_positive()
        return _function(math.log1p(self.v), self.error / lowest)

    def sqrt(self):
        """Square root; rounds once."""
        if self.is_zero():
            return self
        lowest = self._lowest_positive()
        return _round(math.sqrt(self.v), self.error / (2 * math.sqrt(lowest)), 1)

    def rsqrt(self):
        """1 / sqrt(x), which has instructions of its own."""
        lowest = self._lowest_positive()
        return _function(1 / math.sqrt(self.v), self.error / (2 * lowest) / math.sqrt(lowest))

    def tanh(self):
        """Hyperbolic tangent."""
        return _function(math.tanh(self.v), _sech_squared(self._nearest_to_zero()) * self.error)

    def logistic(self):
        """1 / (1 + e^-x); the allowance is absolute, so that (1 + tanh(x / 2)) / 2 may be used."""
        v = 1 / (1 + math.exp(-self.v)) if self.v > 0 else _exp(self.v) / (1 + _exp(self.v))
        slope = 0.25 * _sech_squared(self._nearest_to_zero() / 2)
        return _function(v, slope * self.error, scale=1.0)

    def cos(self):
        """Cosine; the allowance is absolute, so that the argument may be reduced by a rounded multiple of pi."""
        return _function(math.cos(self.v), self.error, scale=1.0)

    def sin(self):
        """Sine, as the cosine."""
        return _function(math.sin(self.v), self.error, scale=1.0)

    def erf(self):
        """Error function."""
        return _function(math.erf(self.v), self._erf_slope() * self.error)

    def erfc(self):
        """1 - erf(x); the allowance is absolute, so that the subtraction may be used."""
        return _function(math.erfc(self.v), self._erf_slope() * self.error, scale=1.0)

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


# --- several formats ------------------------------------------------------------------------------------------------


class ContractArray(np.ndarray):
    """An array of numbers whose products of matrices and sums over an axis go by formats of their own."""

    def __matmul__(self, other):
        return product(self, other)

    def __rmatmul__(self, other):
        return product(other, self)

    def sum(self, axis=None, keepdims=False):
        """As NumPy's."""
        return total(self, axis, keepdims=keepdims)


def product(x, y, bias=None, more=0):
    """x @ y (+ bias), x of shape (..., n), y (n, k): operands rounded, summed in the accumulator, stored.

    The bias is added in the accumulator or to the stored product, whichever is worse. `more` terms of other products
    may be added in the same accumulator; they are charged with the result that they belong to.

    Claims: FLT-1, FLT-2, FLT-4, FLT-8, FLT-10.
    """
    if not isinstance(x.flat[0], Rounded):
        return _plain_product(x, y, bias)
    a = arithmetic()
    shape, x = x.shape[:-1] + y.shape[1:], x.reshape(-1, x.shape[-1])
    (xv, xe), (yv, ye) = _factors(x, a.operand), _factors(y, a.operand)
    v, e, magnitude, terms = np.zeros((4, len(xv), yv.shape[1]))
    for k in range(xv.shape[1]):  # one after another: any order will do, and this is the same on every machine
        p, q, ep, eq = abs(xv[:, k, None]), abs(yv[k]), xe[:, k, None], ye[k]
        v += xv[:, k, None] * yv[k]
        e += p * eq + q * ep + 3 * ep * eq
        magnitude += (p + 2 * ep) * (q + 2 * eq)
        terms += (p + ep > 0) & (q + eq > 0)
    terms = np.where(terms > 0, terms + more, 0)
    multiplied = _accumulated(v, e, magnitude, terms)
    if bias is None:
        return _numbers(v, _storing(v, multiplied, a.storage), a.storage.bits).reshape(shape)
    bv, be = _factors(bias, a.storage)
    bias_size, y = abs(bv) + 2 * be, v + bv
    at_once = _accumulated(y, e + be, magnitude + bias_size, terms + (bias_size > 0))
    apart = _storing(v, multiplied, a.storage) + be
    apart = np.where((bias_size > 0) & (terms > 0), _storing(y, apart, a.current), apart)
    worst = np.maximum(_storing(y, at_once, a.storage), _storing(y, apart, a.storage))
    return _numbers(y, worst, a.storage.bits).reshape(shape)


def _plain_product(x, y, bias):
    """The same over numbers that refuse to be rounded."""
    kind = arithmetic().operand.name
    x, y = (stored(factor, kind).view(np.ndarray) for factor in (x, y))
    with inside("accumulator"):
        out = x @ y
        stored(out)
        return stored(out if bias is None else out + bias)


def total(x, axis=None, *, keepdims=False, kind="batch_sum"):
    """x.sum(axis), added up in the format of that kind in any order, and then rounded as any result is."""
    if not isinstance(x.flat[0], Rounded):
        with inside(kind):
            return x.view(np.ndarray).sum(axis=axis, keepdims=keepdims)
    a = arithmetic()
    f = getattr(a, kind)
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(k % x.ndim for k in axes)
    v, e, bits = (_collect(x, get) for get in (lambda n: n.v, lambda n: n.error, lambda n: n.closed().bits))
    terms = (v != 0) | (e > 0)
    bits = np.where(terms, bits, 0).max(axis=axes, keepdims=True)
    additions = np.maximum(terms.sum(axis=axes, keepdims=True) - 1, 0)
    magnitude, e, v = (_in_order(part, axes) for part in (abs(v) + 2 * e, e, v))
    flushes = additions * a.tiny(f)
    e = e + _gammas(additions, f.unit_roundoff) * (magnitude + flushes) + flushes
    if a.current.bits < f.bits:
        e = np.where(additions > 0, _storing(v, e, a.current), e)
    bits = np.where(additions > 0, min(f.bits, a.current.bits), bits)
    out = _numbers(v, e, bits)
    out = out if keepdims else out.reshape([n for k, n in enumerate(x.shape) if k not in axes])
    return out if out.ndim else out[()]


def stored(x, kind="storage"):
    """The same numbers, rounded to the format of that kind (or of that name), where they have not been yet.

    Claims: FLT-4, FLT-8.
    """
    a = arithmetic()
    if not a.is_mixed:
        return x
    f = getattr(a, kind) if kind in _KINDS else formats.named(kind)
    if not isinstance(x, np.ndarray):
        return x.in_format(f)
    return objects([number.in_format(f) for number in x.ravel().tolist()], x.shape).view(ContractArray)


def _storing(v, e, f):
    """Errors after a rounding to a format; an exact zero stays one."""
    return np.where((v == 0) & (e == 0), 0.0, e + f.unit_roundoff * (abs(v) + 2 * e) + arithmetic().tiny(f))


def _factors(x, f):
    """Values and errors of numbers after they have been rounded to a format."""
    x = stored(x, f.name)
    return values(x), _collect(x, lambda number: number.error)


def _accumulated(v, e, magnitude, terms):
    """Errors of sums of products in the accumulator: each product and each addition rounds."""
    a = arithmetic()
    u, roundings = a.accumulator.unit_roundoff, terms
    if a.truncating:
        u, roundings = 2 * u, np.where(terms > 1, terms + 2 * np.ceil(terms / BLOCK), terms)
    flushes = 2 * terms * a.tiny(a.accumulator)
    return e + _gammas(roundings, u) * (magnitude + flushes) + flushes


def _numbers(v, e, bits):
    parts = (part.ravel().tolist() for part in (v, e, np.broadcast_to(bits, v.shape)))
    numbers = [Rounded(v, e, bits=int(bits)) for v, e, bits in zip(*parts, strict=True)]
    return objects(numbers, v.shape).view(ContractArray)


def _in_order(x, axes):
    """x.sum(axes, keepdims=True), one after another: the same result on every machine."""
    kept = [1 if k in axes else n for k, n in enumerate(x.shape)]
    out = np.zeros(math.prod(kept))
    for row in np.moveaxis(x, axes, range(len(axes))).reshape(-1, math.prod(kept)):
        out += row
    return out.reshape(kept)


def _gammas(n, u):
    """`_gamma` of an array; infinite where there is no bound."""
    with np.errstate(divide="ignore"):
        return np.where(n * u < 1, n * u / abs(1 - n * u), np.inf)


def _lift(x):
    return x if isinstance(x, Rounded) else Rounded.from_number(x)


def _gamma(n, u):
    return n * u / (1 - n * u) if n * u < 1 else math.inf


def _current_bits():
    return _ARITHMETIC.get().current.bits


def _round(v, e, times):
    """Charge roundings of the result, and a flush to zero."""
    u, tiny = _FORMAT.get()
    return Rounded(v, e + _gamma(times, u) * (abs(v) + 2 * e) + tiny, bits=_current_bits())


def _function(v, e, scale=0.0):
    """Charge an elementary function: `ulps` units of the result (at least of `scale`), and a flush to zero.

    In a format shorter than the accumulator's it is computed in that one and then rounded once, or where the allowance
    is absolute in three steps that are each rounded.
    """
    u, tiny = _FORMAT.get()
    a = arithmetic()
    if a.current.bits >= a.accumulator.bits:
        allowance = _gamma(a.ulps, u)
    else:
        allowance = _gamma(3 if scale else 1, u) + 2 * a.ulps * a.accumulator.unit_roundoff
    return Rounded(v, e + allowance * max(abs(v) + 2 * e, scale) + tiny, bits=a.current.bits)


def _scaled(v, e, *factors):
    """Charge no rounding, but what is lost where the result may be subnormal."""
    tiny, smallest = _FORMAT.get()[1], _ARITHMETIC.get().current.smallest_normal
    bits = max((x.closed().bits for x in factors if x.error), default=UNROUNDED)
    return Rounded(v, e if abs(v) - 2 * e >= smallest else e + tiny, bits=bits)


def _exp(x, function=math.exp):
    try:
        return function(x)
    except OverflowError:
        return math.inf


def _sech_squared(x):
    return 1 / math.cosh(min(x, 350)) ** 2


def _is_power_of_two(x):
    return x != 0 and math.isfinite(x) and abs(math.frexp(x)[0]) == 0.5
