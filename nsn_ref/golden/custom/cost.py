"""How long a suite takes to build and how large it is, before it is built.

The operations of a request are counted by running it, on plain floats or on matrices that have a shape only; their
speed is measured on this machine, in a fraction of a second.
"""

import functools
import time
from typing import NamedTuple

import numpy as np

from nsn_ref import scalars
from nsn_ref.certify import balls, rounding
from nsn_ref.certify.limbs import Limbs, width
from nsn_ref.golden import contracts, schema, tensors, truth
from nsn_ref.golden.custom import linear
from nsn_ref.golden.custom.bounds import RoundedMatrix
from nsn_ref.golden.evaluate import as_arrays, evaluate, reference

HEADER = 130  # bytes of a file's header for one tensor, about
ENTRY = 270  # bytes of the manifest for one tensor, about
SAMPLE = 0.05  # seconds that a speed is measured for
PASSES = 12  # over the bytes of a file, about: drawing, rounding, hashing, copying and writing
TENSORS = 3  # bytes of the manifest for a case that are not about a tensor, as so many tensors


class Cost(NamedTuple):
    """Of one case."""

    operations: int  # on numbers with errors; of a linear operation, multiply-adds of matrices
    seconds: float
    bytes: int


def of_matrices(request, inputs, lane):
    """The cost of a linear operation."""
    first, every = multiply_adds(request.op, inputs, request.attrs, chained=lane == "exact")
    per_product, per_bound = _matrix_speed(next(iter(inputs.values())).dtype)
    seconds = every * per_bound if lane == "exact" else first * per_product + every * per_bound
    bytes_ = size(inputs, {name: request.shape(t) for name, t in request.tensors("outputs").items()})
    return Cost(every, seconds + bytes_ * _byte_speed(), bytes_)


def of_numbers(request, inputs):
    """The cost of any other operation, which is computed one number at a time."""
    counts, outputs = zip(*(counted(engine, request, inputs) for engine in (reference(), truth.ENVELOPE)), strict=True)
    seconds = sum(count * speed for count, speed in zip(counts, _number_speed(request.dtype), strict=True))
    bytes_ = size(inputs, {name: x.shape for name, x in outputs[0].items()})
    return Cost(sum(counts), seconds + bytes_ * _byte_speed(), bytes_)


def size(inputs, shapes):
    """Bytes of the files of a case: headers and the manifest are estimated."""
    outputs = sum(8 * int(np.prod(shape)) for shape in shapes.values())
    headers = HEADER * (len(inputs) + 2 * len(shapes))
    described = ENTRY * (len(inputs) + len(shapes) + TENSORS)
    return sum(x.nbytes for x in inputs.values()) + 2 * outputs + headers + described


# --- counting ---------------------------------------------------------------------------------------------------------


class Shape:
    """A matrix of which only the shape is known; products are counted."""

    count = 0
    chained = False  # x (P Q) is computed as (x P) Q, as the certificate of the exact lane does

    def __init__(self, *shape):
        self.shape = shape

    @property
    def T(self):
        """The transposed matrix."""
        return type(self)(*self.shape[::-1])

    def __getitem__(self, index):
        return type(self)(*np.broadcast_to(0, self.shape)[index].shape)

    def __matmul__(self, other):
        type(self).count += self.shape[0] * self.shape[1] * other.shape[1]
        return type(self)(self.shape[0], other.shape[1])

    def times_product(self, p, q):
        """The shape of self @ (p @ q)."""
        return self @ p @ q if self.chained else self @ (p @ q)

    def __add__(self, other):
        return type(self)(*np.broadcast_shapes(self.shape, other.shape))

    def over_rows(self, *others):
        """One row."""
        return type(self)(1, self.shape[1])

    def padded(self, rows, columns):
        """That shape."""
        return type(self)(rows, columns)

    def beside(self, *others):
        """Blocks of columns."""
        return type(self)(self.shape[0], sum(x.shape[1] for x in (self, *others)))

    def stored(self):
        """The same."""
        return self


def multiply_adds(op, inputs, attrs, chained=False):
    """Those of the first formula, and those of all."""
    counts = []
    for formula in linear.formulas(op):
        counting = type("Counting", (Shape,), {"count": 0, "chained": chained})
        formula(linear.layer(inputs, attrs, lambda x, kind=counting: kind(*np.atleast_2d(x).shape)))
        counts.append(counting.count)
    return counts[0], sum(counts)


class Counted(np.ndarray):
    """Floats that count what is done with them."""

    count = 0

    def __array_ufunc__(self, ufunc, method, *operands, out=None, **options):
        plain = [np.asarray(x) if isinstance(x, Counted) else x for x in operands]
        if out is not None:
            options["out"] = tuple(np.asarray(x) if isinstance(x, Counted) else x for x in out)
        result = getattr(ufunc, method)(*plain, **options)
        work = np.size(plain[0]) if method != "__call__" else np.size(result)
        Counted.count += work * np.shape(plain[0])[-1] if ufunc is np.matmul else work
        return result.view(Counted) if isinstance(result, np.ndarray) else result


def counted(engine, request, inputs):
    """How many operations on numbers an engine takes, and its outputs in float64."""
    Counted.count = 0
    plain = {
        name: x.astype(np.float64).view(Counted) if schema.stored_as(request.tensors("inputs")[name], "float64") ==
        "float64" else x for name, x in inputs.items()
    }  # fmt: skip
    outputs = as_arrays(evaluate(engine, request.op, plain, request.attrs))
    return Counted.count, outputs


# --- speed ------------------------------------------------------------------------------------------------------------


@functools.cache
def _matrix_speed(dtype, n=160):
    """Seconds for one multiply-add of an exact product, and of a bound."""
    x = np.random.default_rng(0).standard_normal((n, n)).astype(dtype)

    def product():
        limbs = Limbs.from_floats(x, width(n))
        (limbs @ limbs).to_floats()

    def bound():
        rounded = RoundedMatrix.exact(x)
        (rounded @ rounded).stored()

    return tuple(_seconds(function) / n**3 for function in (product, bound))


@functools.cache
def _number_speed(dtype, n=9):
    """Seconds for one operation on balls, and on numbers with error bounds: products of matrices, exp, arithmetic."""
    x = np.random.default_rng(0).standard_normal((n, n))

    def some(numbers):
        return scalars.exp(numbers * numbers + numbers) @ numbers

    def bound():
        with rounding.precision(contracts.default(dtype)):
            some(rounding.rounded(x))

    with balls.working_precision(balls.FIRST_PRECISION):
        return tuple(_seconds(f) / (n**3 + 3 * n**2) for f in (lambda: some(balls.to_balls(x)), bound))


@functools.cache
def _byte_speed(n=2**20):
    """Seconds for a byte that is converted, hashed and written."""
    x = np.zeros(n // 8)
    return PASSES * _seconds(lambda: tensors.sha256(x)) / n


def _seconds(function):
    """The mean of as many runs as a twentieth of a second holds; on a machine that is busy, it is long."""
    function()
    start, runs = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < SAMPLE or not runs:
        function()
        runs += 1
    return passed / runs
