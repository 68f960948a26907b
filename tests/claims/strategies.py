"""What the claims are tested on: exact layers, drawn by Hypothesis, with what breaks careless code among them.

A claim's test takes no fixture and looks its operations up as attributes of their modules (`ops.nested_linear_forward`)
when it runs. So it can be called as it stands while a defect is planted in one of them: `test_planted_defects.py`.
"""

from collections.abc import Callable
from fractions import Fraction
from types import ModuleType
from typing import NamedTuple

import numpy as np
from claims.exact import identity
from helpers import fractions, seeds
from hypothesis import settings
from hypothesis import strategies as st

from nsn_ref import kernels, ops

SIZES = (1, 2, 3, 5, 7)


class Engine(NamedTuple):
    """An implementation, and the numbers on which it does not round."""

    module: ModuleType
    denominators: tuple  # of the numbers drawn for it; the numerators are -9..9
    array: Callable  # from Fractions to what its operations take

    def __repr__(self):
        return self.module.__name__

    def call(self, op, *arrays, **options):
        """The outputs of an operation's forward pass."""
        return exactly(getattr(self.module, f"{op}_forward")(*map(self.array, arrays), **options)[0])

    def gradients(self, op, dy, *arrays, **options):
        """The gradients of an operation's arguments for the cotangent dy."""
        _, saved = getattr(self.module, f"{op}_forward")(*map(self.array, arrays), **options)
        return [exactly(g) for g in getattr(self.module, f"{op}_backward")(self.array(dy), saved)]


def exactly(array):
    """The same numbers as Fractions."""
    return array if array.dtype == object else fractions(array)


def floats(array):
    """The same numbers in float64, which must hold each of them."""
    out = array.astype(np.float64)
    assert (fractions(out) == array).all(), "a number was drawn that float64 rounds"
    return out


both_engines = settings(max_examples=50)  # for tests that draw one: about as many on each as other tests have
RATIONAL = Engine(ops, (1, 2, 3, 5, 6), lambda array: array)
DYADIC = Engine(kernels, (1, 2, 4), floats)


class Layer(NamedTuple):
    """A nested layer and a batch for it, all of Fractions on which its engine does not round."""

    engine: Engine
    x: np.ndarray  # (n, d_in)
    A: np.ndarray  # (R, d_in)
    B: np.ndarray  # (d_out, R)
    b: np.ndarray  # (d_out,)

    @property
    def arrays(self):
        """The arguments of the operations."""
        return self.x, self.A, self.B, self.b

    @property
    def ranks(self):
        """1..R."""
        return range(1, len(self.A) + 1)

    def output(self, rank):
        """The outputs of nested_linear at one rank."""
        return self.engine.call("nested_linear", *self.arrays, rank=rank)

    def weight(self, rank):
        """W_r (d_out, d_in), read off the operation: its outputs on the identity, without the bias."""
        x, b = identity(self.A.shape[1]), 0 * self.b
        return self.engine.call("nested_linear", x, self.A, self.B, b, rank=rank).T


@st.composite
def matrices(draw, engine, *shape):
    """Small numbers on which the engine is exact, zero among them."""
    rng = np.random.default_rng(draw(seeds))
    numerators, denominators = rng.integers(-9, 10, shape), rng.choice(engine.denominators, shape)
    out = np.empty(shape, dtype=object)
    for index, numerator in np.ndenumerate(numerators):
        out[index] = Fraction(int(numerator), int(denominators[index]))
    return out


def generic(draw, A, B, b):
    """As drawn."""


def duplicated_rows(draw, A, B, b):
    """From some component on every a_i is a copy of the first."""
    A[draw(st.integers(0, len(A) - 1)) :] = A[0]


def dependent_rows(draw, A, B, b):
    """The last a_i is the sum of all before it."""
    A[-1] = A[:-1].sum(axis=0) if len(A) > 1 else A[0]


def dependent_columns(draw, A, B, b):
    """Every b_i is a multiple of the first."""
    for i in range(1, len(A)):
        B[:, i] = B[:, 0] * (i % 3)


def zero_factors(draw, A, B, b):
    """Some a_i and some b_i are zero."""
    A[draw(st.integers(0, len(A) - 1))] = Fraction(0)
    B[:, draw(st.integers(0, len(A) - 1))] = Fraction(0)


def zero_layer(draw, A, B, b):
    """Every a_i is zero, the b_i are not."""
    A[:] = Fraction(0)


def graded(draw, A, B, b):
    """Component i is scaled by 2^(-4 i): singular values of many magnitudes."""
    for i in range(len(A)):
        A[i] *= Fraction(2) ** (-4 * i)


def extreme_gauge(draw, A, B, b):
    """a_i is huge and b_i as tiny, or the other way round, which changes no W_r."""
    for i in range(len(A)):
        c = Fraction(2) ** draw(st.integers(-300, 300))
        A[i] *= c
        B[:, i] /= c


def huge(draw, A, B, b):
    """A, and with it the bias, is scaled by 2^300."""
    A *= 2**300
    b *= 2**300


def tiny(draw, A, B, b):
    """A, and with it the bias, is scaled by 2^-300."""
    A /= 2**300
    b /= 2**300


VARIANTS = (
    generic, duplicated_rows, dependent_rows, dependent_columns, zero_factors, zero_layer, graded, extreme_gauge, huge,
    tiny,
)  # fmt: skip
MODERATE = VARIANTS[: VARIANTS.index(graded)]  # numbers of one size


@st.composite
def layers(draw, engines=(RATIONAL, DYADIC), sizes=None, variants=VARIANTS):
    """A layer in one of the variants, for one of the engines, with sizes down to 1 and often R > min(d_in, d_out).

    `sizes` fixes (R, d_in, d_out).
    """
    engine = draw(st.sampled_from(engines))
    R, d_in, d_out = sizes or draw(st.tuples(*[st.sampled_from(SIZES)] * 3))
    A, B, b = (draw(matrices(engine, *shape)) for shape in ((R, d_in), (d_out, R), (d_out,)))
    draw(st.sampled_from(variants))(draw, A, B, b)
    return Layer(engine, draw(matrices(engine, draw(st.sampled_from(SIZES)), d_in)), A, B, b)


@st.composite
def independent_rows(draw, engine, rows, columns):
    """A matrix of full row rank, rows <= columns: unit lower triangular times [I, anything], columns permuted.

    Each prefix of its rows has full row rank too.
    """
    lower = np.tril(draw(matrices(engine, rows, rows)), -1) + identity(rows)
    wide = np.hstack([identity(rows), draw(matrices(engine, rows, columns - rows))])
    return (lower @ wide)[:, draw(st.permutations(range(columns)))]


@st.composite
def full_rank_layers(draw, *factors):
    """A layer in which the factors that are named have full rank: the rows of "A", the columns of "B"."""
    engine = draw(st.sampled_from((RATIONAL, DYADIC)))
    d_in, d_out, R = draw(st.tuples(*[st.sampled_from(SIZES)] * 3))
    R = min(R, *({"A": d_in, "B": d_out}[factor] for factor in factors))
    moderate = [variant for variant in VARIANTS if variant is not extreme_gauge]  # which needs both factors
    layer = draw(layers(engines=(engine,), sizes=(R, d_in, d_out), variants=moderate))
    free = {"A": independent_rows(engine, R, d_in), "B": independent_rows(engine, R, d_out).map(np.transpose)}
    return layer._replace(**{factor: draw(free[factor]) for factor in factors})
