"""The exact lane at any size: a proof that no correct evaluation rounds anywhere, by products of magnitudes.

All elements of a matrix are multiples of one power of two, its quantum. A sum of products is then exact in any order,
fused or not, if the sum of their magnitudes is at most 2^p quanta, p being the bits of the accumulator; and what is
stored in between must be one of the format's numbers. It is the certificate of `certify.exactness`, with one quantum
for all elements instead of one for each. The values are then exact in float64 as well: they are the truth.
"""

import numpy as np

from nsn_ref.certify import formats
from nsn_ref.errors import NeedMorePrecision
from nsn_ref.golden import contracts, truth
from nsn_ref.golden.custom import linear


def exact_outputs(op, dtype, inputs, attrs):
    """The outputs of a linear operation, none of which any formula rounds in `dtype`.

    Raises
    ------
    NeedMorePrecision
        Some formula may round.
    """
    kind = _kind(contracts.default(dtype))
    t = linear.layer(inputs, attrs, kind.of)
    first, *others = [
        linear.arrays(formula(t), inputs, lambda matrix: matrix.v + 0.0) for formula in linear.formulas(op)
    ]
    if not all((first[name] == x).all() for other in others for name, x in other.items()):
        raise NeedMorePrecision(f"{op}: two formulas disagree, so that one of them rounds")
    return first


def exact_numbers(op, dtype, inputs, attrs):
    """The same for any other operation, one number at a time: the certificate of `certify.exactness`.

    Raises
    ------
    NeedMorePrecision
    """
    expected = truth.expected(op, inputs, attrs)
    truth.bounds(op, "exact", dtype, inputs, attrs, expected)
    return expected


def _kind(contract):
    """The matrices of a contract."""
    short = min((formats.named(name) for name in (contract.storage, contract.operand)), key=lambda f: f.bits)
    sums = min(formats.named(contract.accumulator).bits, formats.named(contract.batch_sum).bits)
    limits = {"short": short, "storage": formats.named(contract.storage), "bits": sums - contract.truncating}
    return type("ExactMatrix", (ExactMatrix,), limits)


class ExactMatrix:
    """Integers times a quantum 2^q, and the magnitudes of the sums that they are."""

    short = storage = bits = None  # formats of factors and of results; bits that a sum may need

    def __init__(self, v, q, magnitude):
        if (worst := np.max(magnitude, initial=0.0)) > 2.0 ** (self.bits + q):
            raise NeedMorePrecision(f"a sum of magnitude {worst:g} in units of 2^{q} needs more than {self.bits} bits")
        self.v, self.q, self.magnitude = v, q, magnitude

    @classmethod
    def of(cls, x):
        """A matrix of inputs."""
        x = np.asarray(x, dtype=np.float64)
        return cls(x, quantum(x), np.zeros_like(x))

    @property
    def shape(self):
        """The matrix's."""
        return self.v.shape

    @property
    def T(self):
        """The transposed matrix."""
        return self._each(lambda y: y.T)

    def __getitem__(self, index):
        return self._each(lambda y: y[index])

    def __matmul__(self, other):
        a, b = (x.stored().as_operand() for x in (self, other))
        return type(self)(a @ b, self.q + other.q, np.abs(a) @ np.abs(b))

    def times_product(self, p, q):
        """self @ (p @ q), the product in brackets being stored; it is bounded, and never multiplied out.

        An element is a multiple of the quantum of p's row times that of q's column, and it fits where the sum of its
        terms' magnitudes does.
        """
        left, a, b = (x.stored().as_operand() for x in (self, p, q))
        rows, columns = (np.array([quantum(vector) for vector in vectors]) for vectors in (a, b.T))
        inner = np.abs(a) / 2.0 ** rows[:, None] @ np.max(np.abs(b) / 2.0**columns, axis=1, initial=0.0)
        largest = np.max(np.abs(a) @ np.max(np.abs(b), axis=1, initial=0.0), initial=0.0)
        fits = np.max(inner, initial=0.0) <= 2.0 ** min(self.short.bits, self.bits)
        if not (fits and largest <= 2.0**self.short.highest and rows.min() + columns.min() >= self.short.lowest):
            raise NeedMorePrecision(f"a product of magnitude {largest:g} may be no number of {self.short.name}")
        magnitude = np.abs(left) @ np.abs(a) @ np.abs(b)
        return type(self)(left @ a @ b, self.q + p.q + q.q, magnitude)

    def __add__(self, other):
        magnitudes = (np.maximum(x.magnitude, np.abs(x.v)) for x in (self, other))
        return type(self)(self.v + other.v, min(self.q, other.q), sum(magnitudes))

    def over_rows(self, *others):
        """The sum of all rows, as one row."""
        blocks = [x.stored() for x in (self, *others)]
        v = np.concatenate([x.v for x in blocks])
        magnitude = np.abs(v).sum(axis=0, keepdims=True)
        return type(self)(v.sum(axis=0, keepdims=True), min(x.q for x in blocks), magnitude)

    def padded(self, rows, columns):
        """With zeros below and to the right, up to that shape."""
        return self._each(lambda y: np.pad(y, ((0, rows - y.shape[0]), (0, columns - y.shape[1]))))

    def beside(self, *others):
        """Blocks of columns."""
        blocks = (self, *others)
        v, magnitude = (np.concatenate([getattr(x, name) for x in blocks], axis=1) for name in ("v", "magnitude"))
        return type(self)(v, min(x.q for x in blocks), magnitude)

    def stored(self):
        """Written to memory: every element must be one of the format's numbers."""
        return self._held_by(self.storage)

    def as_operand(self):
        """The values, which must be numbers of the format of factors."""
        return self._held_by(self.short).v

    def _held_by(self, f):
        if not holds(f, self.v).all():
            raise NeedMorePrecision(f"a result is not a number of {f.name}")
        return type(self)(self.v, self.q, np.zeros_like(self.v))

    def _each(self, function):
        return type(self)(function(self.v), self.q, function(self.magnitude))


def quantum(x):
    """The exponent of the largest power of two that every element is a multiple of; 0 where all are zero."""
    mantissa, exponent = np.frexp(x[x != 0])
    m = np.ldexp(np.abs(mantissa), 53).astype(np.int64)
    zeros = np.frexp((m & -m).astype(np.float64))[1] - 1
    return int(np.min(exponent - 53 + zeros, initial=1023)) if m.size else 0


def holds(f, v):
    """Whether each number is one of a format's normal numbers, or zero."""
    mantissa, exponent = np.frexp(v)
    scaled = np.ldexp(mantissa, f.bits)
    return (v == 0) | ((scaled == np.rint(scaled)) & (f.lowest < exponent) & (exponent <= f.highest + 1))
