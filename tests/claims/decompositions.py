"""Matrices whose singular value decomposition is known without rounding: the rotations are rational."""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from claims import exact
from claims.strategies import RATIONAL, SIZES, Layer, matrices
from hypothesis import strategies as st

EPS = 2.0**-52


class Decomposed(NamedTuple):
    """W = U diag(s) V^T with U (d_out, k), s (k,) and V (d_in, k), k = min(d_in, d_out)."""

    U: np.ndarray
    s: np.ndarray
    V: np.ndarray

    @property
    def W(self):
        """The matrix (d_out, d_in)."""
        return (self.U * self.s) @ self.V.T

    @property
    def ranks(self):
        """1..k."""
        return range(1, len(self.s) + 1)

    def tail(self, rank):
        """What the best matrix of this rank leaves out: the sum of s_i^2 over i > rank."""
        return sum(self.s[rank:] ** 2, Fraction(0))

    def layer(self, x, unwhiten=None):
        """The nested layer with B = U diag(s) and A = V^T, or A = V^T `unwhiten`, and no bias."""
        A = self.V.T if unwhiten is None else self.V.T @ unwhiten
        return Layer(RATIONAL, x, A, self.U * self.s, exact.zeros(1, len(self.U))[0])


@st.composite
def rotations(draw, n):
    """An orthogonal matrix (n, n) by Cayley's formula, (I - K) (I + K)^-1 for a K with K^T = -K, and signs."""
    K = np.tril(draw(matrices(RATIONAL, n, n)), -1) * Fraction(1, 4)
    K, one = K - K.T, exact.identity(n)
    signs = draw(st.lists(st.sampled_from((1, -1)), min_size=n, max_size=n))
    return (one - K) @ exact.inverse(one + K) * np.array(signs)


def spread(i):
    """Distinct ones of one size."""
    return Fraction(9, i + 2)


def graded(i):
    """Falling over many magnitudes."""
    return Fraction(1, 2 ** (7 * i))


def tied(i):
    """Two and two are equal."""
    return Fraction(9, i // 2 + 1)


def rank_two(i):
    """All but two are zero."""
    return Fraction(2 - i) if i < 2 else Fraction(0)


SINGULAR_VALUES = (spread, graded, tied, rank_two)
SCALES = (Fraction(1), Fraction(2) ** 300, Fraction(2) ** -300)


@st.composite
def decompositions(draw, sizes=None, scales=SCALES):
    """A matrix with its singular values: one row or column, ties, low rank, graded, huge and tiny among them.

    `sizes` fixes (d_out, d_in).
    """
    d_out, d_in = sizes or draw(st.tuples(st.sampled_from(SIZES), st.sampled_from(SIZES)))
    k = min(d_out, d_in)
    values, scale = draw(st.sampled_from(SINGULAR_VALUES)), draw(st.sampled_from(scales))
    s = exact.matrix(1, k, lambda _, i: scale * values(i))[0]
    return Decomposed(draw(rotations(d_out))[:, :k], s, draw(rotations(d_in))[:, :k])


@st.composite
def of_rank(draw, rank, rows, columns, scale=Fraction(1)):
    """Any matrix of rank at most `rank`."""
    return scale * (draw(matrices(RATIONAL, rows, rank)) @ draw(matrices(RATIONAL, rank, columns)))


def squares(M):
    """The square of the Frobenius norm."""
    return exact.inner(M, M)


def root(square):
    """The square root of a rational number as a float, also of those that are no floats."""
    scale = square.numerator.bit_length() - square.denominator.bit_length()
    scale -= scale % 2
    return float(np.ldexp(np.sqrt(float(square / Fraction(2) ** scale)), scale // 2))


def tolerance(W):
    """c u norm(W): a backward stable decomposition errs by a modest multiple of the dimensions; c = 16 (d_in + d_out).

    The factors round once each, their product as often as it has components: less than d_in + d_out more.
    """
    return 16 * sum(W.shape) * (EPS / 2) * root(squares(W))
