"""Exact sums and products of float matrices, by way of integers that float64 products cannot round.

A finite float is an integer times a power of two. A `Limbs` matrix holds such integers in balanced digits of w bits,
one array for each digit: its value is the sum of digit_k 2^(w k). A product of two digit arrays is an ordinary matrix
product of float64, with the speed of one, and exact in any order of summation: n terms of at most 2^(2 w - 2) need
n 2^(2 w - 2) <= 2^53 (error-free splitting: Ozaki, Ogita, Oishi & Rump, Numerical Algorithms 59, 2012). Digits
are then carried, and read back by one correct rounding.
"""

from fractions import Fraction

import numpy as np

from nsn_ref.errors import NonFiniteError

WINDOW = 62  # bits of a number that a rounding to float64 looks at; whether any follow is one bit more


def width(terms):
    """Bits of a digit, for sums of up to `terms` products."""
    return (55 - max(1, int(terms - 1).bit_length())) // 2


class Limbs:
    """A matrix of integers times 2^(w low)."""

    def __init__(self, digits, low, w):
        self.digits, self.low, self.w = digits, low, w  # each digit: float64, |d| <= 2^(w - 1); the first is the lowest

    @classmethod
    def from_floats(cls, x, w):
        """The exact value of a float array."""
        x = np.array(x, dtype=np.float64)
        bits = int(np.frexp(np.max(np.abs(x), initial=0.0))[1])
        k = -(-(bits + 1) // w) - 1  # the highest digit of the largest element is at most 2^(w - 1)
        digits = []
        while x.any() or not digits:
            d = np.rint(np.ldexp(x, -w * k))
            x -= np.ldexp(d, w * k)  # never rounded: what is left is at most 2^(w k) / 2
            digits.append(d)
            k -= 1
        return cls(digits[::-1], k + 1, w)

    @property
    def shape(self):
        """The matrix's."""
        return self.digits[0].shape

    @property
    def T(self):
        """The transposed matrix."""
        return self._each(lambda d: d.T)

    def __getitem__(self, index):
        return self._each(lambda d: d[index])

    def padded(self, rows, columns):
        """With zeros below and to the right, up to that shape."""
        return self._each(lambda d: np.pad(d, ((0, rows - d.shape[0]), (0, columns - d.shape[1]))))

    def _each(self, function):
        return type(self)([function(d) for d in self.digits], self.low, self.w)

    def __matmul__(self, other):
        out = [0] * (len(self.digits) + len(other.digits) - 1)
        for i, a in enumerate(self.digits):
            for j, b in enumerate(other.digits):
                out[i + j] = out[i + j] + (a @ b).astype(np.int64)
        return type(self)(_carried(out, self.w), self.low + other.low, self.w)

    def __add__(self, other):
        low = min(self.low, other.low)
        high = max(x.low + len(x.digits) for x in (self, other))
        zero = np.zeros(np.broadcast_shapes(self.shape, other.shape), np.int64)
        out = [zero] * (high - low)
        for x in (self, other):
            for k, d in enumerate(x.digits, x.low - low):
                out[k] = out[k] + d.astype(np.int64)
        return type(self)(_carried(out, self.w), low, self.w)

    def over_rows(self, *others):
        """The sum of all rows, those of other matrices too, as one row."""
        sums = [d.astype(np.int64).sum(axis=0, keepdims=True) for d in self.digits]
        total = type(self)(_carried(sums, self.w), self.low, self.w)
        return total if not others else total + others[0].over_rows(*others[1:])

    def to_floats(self):
        """Each element rounded to the nearest float64, ties to even; a zero is +0.

        Raises
        ------
        NonFiniteError
            Above the largest float64.
        """
        sign, digits = _sign_and_magnitude(self.digits, self.w)
        top, leading = np.zeros(self.shape, np.int64), np.zeros(self.shape, np.int64)
        for k, d in enumerate(digits):
            top, leading = np.where(d > 0, k, top), np.where(d > 0, d, leading)
        length = np.frexp(leading.astype(np.float64))[1]
        window, more = np.zeros(self.shape, np.int64), np.zeros(self.shape, bool)
        for k, d in enumerate(digits):
            shift = WINDOW - length + self.w * (k - top)
            right = np.clip(-shift, 0, 63)
            window |= (d << np.clip(shift, 0, WINDOW)) >> right
            more |= (d >> right) << right != d
        exponent = (self.w * (self.low + top) + length - WINDOW).astype(np.int64)
        rounded = (window | more).astype(np.float64)
        small = (exponent < -1022) & (rounded > 0)  # perhaps below the smallest normal number: not rounded twice
        with np.errstate(over="ignore", under="ignore"):
            out = np.ldexp(rounded, exponent)
        for index in zip(*np.nonzero(small), strict=True):
            out[index] = _nearest([int(d[index]) for d in digits], self.w, self.low)
        if not np.isfinite(out).all():
            raise NonFiniteError("limbs: a result is above the largest float64, expected the range of float64")
        return sign * out + 0.0


def _carried(digits, w):
    """Balanced digits of the same number; as many more as it takes."""
    out, carry, half = [], 0, 1 << (w - 1)
    digits = list(digits)
    while digits or np.any(carry):
        d = (digits.pop(0) if digits else 0) + carry
        carry = (d + half) >> w
        out.append((d - (carry << w)).astype(np.float64))
    while len(out) > 1 and not out[-1].any():
        out.pop()
    return out


def _sign_and_magnitude(digits, w):
    """-1, 0 or 1; and digits in 0..2^w - 1 of the absolute value."""
    sign = np.zeros(digits[0].shape)
    for d in digits:  # the last one that is not zero decides: balanced digits below it weigh less
        sign = np.where(d != 0, np.sign(d), sign)
    out, carry = [], 0
    for d in digits:
        d = (sign * d).astype(np.int64) + carry
        carry = d >> w
        out.append(d - (carry << w))
    return sign, out


def _nearest(digits, w, low):
    return float(sum(Fraction(d) * Fraction(2) ** (w * (k + low)) for k, d in enumerate(digits)))
