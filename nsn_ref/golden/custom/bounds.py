"""Rounding-error bounds of whole matrices: the lemma of `certify.rounding.product`, by products of magnitudes.

A product of matrices with n terms has, computed in any order by a correct port, an error of at most

    |X| e_Y + e_X |Y| + 3 e_X e_Y + gamma_n(u_a) (|X| + 2 e_X)(|Y| + 2 e_Y) + 2 n tiny,

e_X and e_Y being the errors of the factors, rounded as operands. A sum of products is left open until it is `stored`:
then it has been added up as one long sum, or from parts that were stored, whichever is worse.
"""

from typing import NamedTuple

import numpy as np

from nsn_ref.certify import rounding
from nsn_ref.certify.rounding import BLOCK, UNROUNDED
from nsn_ref.golden import contracts
from nsn_ref.golden.custom import linear
from nsn_ref.golden.custom.certificate import holds

BLOCK_SIZE = 2**22  # elements of a matrix that is not kept as a whole
FIELDS = "v", "e", "magnitude"


def bounds(op, dtype, inputs, attrs):
    """Bounds on the error of every output of a linear operation, by name: the largest over all formulas."""
    with rounding.precision(contracts.default(dtype)):
        t = linear.layer(inputs, attrs, RoundedMatrix.exact)
        worst = {}
        for formula in linear.formulas(op):
            for name, e in linear.arrays(formula(t), inputs, lambda matrix: matrix.e).items():
                worst[name] = np.maximum(worst[name], e) if name in worst else e
    return worst


class RoundedMatrix:
    """Values, and bounds on their errors."""

    def __init__(self, v, e, bits=UNROUNDED):
        self.v, self.e = v, e
        self.bits = bits  # of the format that it has been rounded to, and charged for

    @classmethod
    def exact(cls, x):
        """A matrix of inputs."""
        x = np.asarray(x, dtype=np.float64)
        return cls(x, np.zeros_like(x))

    @property
    def shape(self):
        """The matrix's."""
        return self.v.shape

    @property
    def T(self):
        """The transposed matrix."""
        return RoundedMatrix(self.v.T, self.e.T, self.bits)

    def __getitem__(self, index):
        return RoundedMatrix(self.v[index], self.e[index], self.bits)

    def __matmul__(self, other):
        operand = rounding.arithmetic().operand
        (p, ep), (q, eq) = ((x.v, x.rounded_to(operand)) for x in (self.stored(), other.stored()))
        P, Q = np.abs(p), np.abs(q)
        e, magnitude = _product(P, eq) + _product(ep, Q + 3 * eq), _product(P + 2 * ep, Q + 2 * eq)
        return Open(p @ q, e, magnitude, p.shape[1])

    def times_product(self, p, q):
        """self @ (p @ q), the product in brackets being stored; so many of its columns at a time that they fit."""
        step = max(1, BLOCK_SIZE // p.shape[0])
        blocks = [self @ (p @ q[:, k : k + step]).stored() for k in range(0, q.shape[1], step)]
        v, e, magnitude = (np.concatenate([getattr(x, name) for x in blocks], axis=1) for name in FIELDS)
        return Open(v, e, magnitude, blocks[0].terms)

    def __add__(self, other):
        return Open.of(self) + other

    def over_rows(self, *others):
        """The sum of all rows, as one row, in the format of batch sums."""
        a, blocks = rounding.arithmetic(), [x.stored() for x in (self, *others)]
        v, e = (np.concatenate([getattr(x, name) for x in blocks]) for name in "ve")
        additions, magnitude = len(v) - 1, (np.abs(v) + 2 * e).sum(axis=0, keepdims=True)
        v, e = v.sum(axis=0, keepdims=True), e.sum(axis=0, keepdims=True)
        e = e + _gamma(additions, a.batch_sum.unit_roundoff) * magnitude + additions * a.tiny(a.batch_sum)
        if additions and a.is_mixed:
            e = _rounded_to(a, a.storage, v, e)
        return RoundedMatrix(v, np.where(magnitude > 0, e, 0.0), a.storage.bits)

    def padded(self, rows, columns):
        """With exact zeros below and to the right, up to that shape."""
        return self._each(lambda y: _pad(y, rows, columns))

    def beside(self, *others):
        """Blocks of columns; all of them stored."""
        blocks = [x.stored() for x in (self, *others)]
        v, e = (np.concatenate([getattr(x, name) for x in blocks], axis=1) for name in "ve")
        return RoundedMatrix(v, e, blocks[0].bits)

    def _each(self, function):
        return RoundedMatrix(function(self.v), function(self.e), self.bits)

    def stored(self):
        """Rounded to the storage format, where that has not happened yet; inputs are as they are."""
        return self

    def rounded_to(self, f):
        """Errors after rounding to a format, where that has not happened yet."""
        if self.bits <= f.bits:
            return self.e
        held = (self.e == 0) & holds(f, self.v)
        return np.where(held, self.e, _rounded_to(rounding.arithmetic(), f, self.v, self.e))


class Parts(NamedTuple):
    """A sum whose parts were stored one by one, and then added in any order in the storage format."""

    e: np.ndarray  # errors of the parts, summed
    magnitude: np.ndarray  # sizes of the parts, summed
    count: int

    def error(self, v):
        """Of the sum, whose value is v."""
        a, additions = rounding.arithmetic(), self.count - 1
        u, tiny = a.storage.unit_roundoff, a.tiny(a.storage)
        before = additions if a.is_mixed else max(additions - 1, 0)  # where one format does it all, the last one stores
        inner = self.e + _gamma(before, u) * self.magnitude + additions * tiny
        return _rounded_to(a, a.storage, v, inner)


class Open(RoundedMatrix):
    """A sum of products that is still in the accumulator; `parts` is the same sum from stored parts, if it has any."""

    def __init__(self, v, e, magnitude, terms, parts=None):
        super().__init__(v, e)
        self.magnitude, self.terms, self.parts = magnitude, terms, parts

    @classmethod
    def of(cls, x):
        """A sum of one part."""
        a, stored = rounding.arithmetic(), x.stored()
        e = stored.rounded_to(a.storage)
        size = np.abs(x.v) + 2 * e
        if isinstance(x, cls):
            return cls(x.v, x.e, x.magnitude, x.terms, x.parts or Parts(e, size, 1))
        return cls(x.v, e, size, 1, Parts(e, size, 1))

    def __add__(self, other):
        a, b = Open.of(self), Open.of(other)
        parts = Parts(*(x + y for x, y in zip(a.parts, b.parts, strict=True)))
        return Open(a.v + b.v, a.e + b.e, a.magnitude + b.magnitude, a.terms + b.terms, parts)

    @property
    def T(self):
        """The transposed matrix."""
        return self._each(np.transpose)

    def __getitem__(self, index):
        return self.stored()[index]

    def _each(self, function):
        parts = self.parts and Parts(function(self.parts.e), function(self.parts.magnitude), self.parts.count)
        return Open(function(self.v), function(self.e), function(self.magnitude), self.terms, parts)

    def stored(self):
        """Added up and rounded to the storage format."""
        a, u, roundings = rounding.arithmetic(), rounding.arithmetic().accumulator.unit_roundoff, self.terms
        if a.truncating:
            u, roundings = 2 * u, self.terms + 2 * -(-self.terms // BLOCK)
        e = self.e + _gamma(roundings, u) * self.magnitude + 2 * self.terms * a.tiny(a.accumulator)
        if a.is_mixed:
            e = _rounded_to(a, a.storage, self.v, e)
        e = e if self.parts is None else np.maximum(e, self.parts.error(self.v))
        return RoundedMatrix(self.v, np.where(self.magnitude > 0, e, 0.0), a.storage.bits)


def _product(x, y):
    """Of magnitudes; without the work where one is zero."""
    return x @ y if x.any() and y.any() else np.zeros((len(x), y.shape[1]))


def _pad(x, rows, columns):
    return np.pad(x, ((0, rows - x.shape[0]), (0, columns - x.shape[1])))


def _gamma(n, u):
    return n * u / (1 - n * u)


def _rounded_to(a, f, v, e):
    return e + f.unit_roundoff * (np.abs(v) + 2 * e) + a.tiny(f)
