"""A number system whose numbers are never rounded, whatever the order of the sums, or else refuse to be computed.

An operation run on arrays of `Exact` succeeds only if *every* floating-point evaluation of the same formula in the
given precision gives its exact result: each product is representable, and each sum has terms that are multiples of one
power of two 2^q with sum |terms| <= 2^(p + q), so that every partial sum, in any order, fused or not, is representable
too. Then a port has no excuse for a last bit.

Under a contract of several formats a sum must be exact in its own format (the accumulator's for products of matrices),
and what may be stored in between must be a number of the storage format.
"""

import math

import numpy as np

from nsn_ref.certify.rounding import ContractArray, arithmetic, yields_to_arrays
from nsn_ref.errors import NeedMorePrecision, NumberSystemError


def exact(array, dtype=None):
    """The numbers of a float array as an object array of `Exact`.

    In the precision of `dtype` ("float64" or "float32"), or by default of the contract in force
    (`certify.rounding.precision`) wherever they are used.
    """
    kind = _KINDS[dtype and str(dtype)]
    out = np.empty(np.shape(array), dtype=object)
    for index, value in np.ndenumerate(array):
        out[index] = kind.from_number(value)
    return out.view(ContractArray) if dtype is None and arithmetic().is_mixed else out


class Exact:
    """m 2^q, and the sum of |terms| of the sum that it is, in units of 2^q.

    Claims: FLT-3.
    """

    __slots__ = ("m", "q", "magnitude")
    bits = 53

    def __init__(self, m, q, magnitude):
        if magnitude > 2**self.bits:
            raise NeedMorePrecision(f"a sum of magnitude {magnitude} x 2^{q} needs more than {self.bits} bits")
        self.m, self.q, self.magnitude = m, q, magnitude

    @classmethod
    def from_number(cls, value):
        """A number that the format holds."""
        numerator, denominator = float(value).as_integer_ratio()
        return cls._reduced(numerator, 1 - denominator.bit_length())

    @classmethod
    def _reduced(cls, m, q):
        shift = (m & -m).bit_length() - 1 if m else 0
        return cls(m >> shift, q + shift if m else 0, abs(m) >> shift)

    @yields_to_arrays
    def __add__(self, other):
        other = self._lift(other)
        if other.magnitude == 0:
            return self
        if self.magnitude == 0:
            return other
        q = min(self.q, other.q)
        a, b = self.q - q, other.q - q
        return type(self)((self.m << a) + (other.m << b), q, (self.magnitude << a) + (other.magnitude << b))

    __radd__ = __add__

    def __neg__(self):
        return type(self)(-self.m, self.q, self.magnitude)

    @yields_to_arrays
    def __sub__(self, other):
        return self + -self._lift(other)

    @yields_to_arrays
    def __rsub__(self, other):
        return self._lift(other) - self

    @yields_to_arrays
    def __mul__(self, other):
        a, b = self._reduced(self.m, self.q), self._lift(other)
        b = self._reduced(b.m, b.q)
        return self._reduced(a.m * b.m, a.q + b.q)

    __rmul__ = __mul__

    @yields_to_arrays
    def __truediv__(self, other):
        """By a power of two; any other quotient may be rounded."""
        b = self._lift(other)
        if abs(b.m) & (abs(b.m) - 1) or not b.m:
            raise NeedMorePrecision(f"a quotient by {float(b)!r}, which is not a power of two, may be rounded")
        return self * type(self)._reduced(1 if b.m > 0 else -1, 1 - b.q - abs(b.m).bit_length())

    def __gt__(self, other):
        return (self - other).m > 0

    def __le__(self, other):
        return not self > other

    def __abs__(self):
        return self if self.m >= 0 else -self

    def _lift(self, x):
        return x if isinstance(x, Exact) else self.from_number(x)

    def __float__(self):
        return math.ldexp(self.m, self.q)

    def __repr__(self):
        return f"Exact({float(self)!r})"

    def closed(self):
        """The same number as one term."""
        return self._reduced(self.m, self.q)

    def in_format(self, f):
        """The same number, if it is one of the format's.

        Raises
        ------
        NeedMorePrecision
        """
        x = self.closed()
        if not f.holds(float(x)):
            raise NeedMorePrecision(f"{float(x)!r} is stored, but is no number of {f.name}")
        return x

    def is_finite(self):
        """Always: there is no infinity in this number system."""
        return True

    def exp(self):
        """Not an exact operation."""
        raise NumberSystemError("exp: is rounded, so it does not exist over exact numbers")


class _Exact32(Exact):
    __slots__ = ()
    bits = 24


class _ExactByContract(Exact):
    __slots__ = ()

    @property
    def bits(self):
        """Of the format in which the number is computed."""
        return arithmetic().current.bits


_KINDS = {"float64": Exact, "float32": _Exact32, None: _ExactByContract}
