"""GRD: the gradients of the nested layer, at one rank and at several, without rounding.

Outputs are polynomials in the arguments, so their derivatives are found without differentiating: by exact differences.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from claims import exact
from claims.strategies import MODERATE, RATIONAL, Layer, both_engines, layers, matrices
from helpers import assert_gradient, distinct_primes, normal, seeds
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref import ops

ARGUMENTS = ("x", "A", "B", "b")
INTEGERS = RATIONAL._replace(denominators=(1,))


def gradients(layer, dy, rank):
    """dx, dA, dB, db of nested_linear."""
    return layer.engine.gradients("nested_linear", dy, *layer.arrays, rank=rank)


def joint_gradients(layer, dys, ranks):
    """dx, dA, dB, db of multirank_linear."""
    return layer.engine.gradients("multirank_linear", dys, *layer.arrays, ranks=ranks)


def moved(layer, direction, t=1):
    """The layer with each argument moved by t times its direction; None stands for no direction."""
    arrays = [a if v is None else a + t * v for a, v in zip(layer.arrays, direction, strict=True)]
    return Layer(layer.engine, *arrays)


def some_ranks(layer):
    """Ranks in any order, duplicates among them."""
    return st.lists(st.sampled_from(layer.ranks), min_size=1, max_size=4)


@pytest.mark.claim("GRD-1")
@both_engines
@given(layers(variants=MODERATE), st.data())
def test_gradients_at_one_rank(layer, data):
    """The gradients at one rank; those of unused components are exactly zero.

    The output is affine in each argument, so that <dy, y> changes by exactly <gradient, direction>.
    """
    rank = data.draw(st.sampled_from(layer.ranks))
    y = layer.output(rank)
    dy = data.draw(matrices(layer.engine, *y.shape))
    for k, gradient in enumerate(gradients(layer, dy, rank)):
        v = data.draw(matrices(layer.engine, *layer.arrays[k].shape))
        direction = [v if j == k else None for j in range(4)]
        assert exact.inner(dy, moved(layer, direction).output(rank) - y) == exact.inner(gradient, v), ARGUMENTS[k]


@pytest.mark.claim("GRD-1")
@both_engines
@given(layers(), st.data())
def test_unused_components_have_no_gradient(layer, data):
    """At every scale of the factors: the rows of dA and the columns of dB above the rank are zero."""
    for rank in layer.ranks:
        dy = data.draw(matrices(layer.engine, len(layer.x), len(layer.B)))
        _, dA, dB, _ = gradients(layer, dy, rank)
        assert not dA[rank:].any() and not dB[:, rank:].any()


@pytest.mark.claim("GRD-2")
@both_engines
@given(layers(), st.data())
def test_gradients_are_suffix_sums(layer, data):
    """Several ranks: the gradient of component i is a suffix sum over the ranks that use it, found in one sweep from
    the largest rank down; components above every rank get exactly zero.
    """
    ranks = data.draw(some_ranks(layer))
    dys = data.draw(matrices(layer.engine, len(ranks), len(layer.x), len(layer.B)))
    dx, dA, dB, db = joint_gradients(layer, dys, ranks)
    expected_dx = 0 * layer.x
    for i in range(len(layer.A)):
        suffix = sum((dys[k] for k, r in enumerate(ranks) if r > i), 0 * dys[0])  # component i + 1 serves ranks above i
        h, dh = layer.x @ layer.A[i], suffix @ layer.B[:, i]
        assert (dA[i] == dh @ layer.x).all()
        assert (dB[:, i] == h @ suffix).all()
        expected_dx = expected_dx + np.multiply.outer(dh, layer.A[i])
    assert (dx == expected_dx).all()
    assert (db == dys.sum(axis=(0, 1))).all()


@pytest.mark.claim("GRD-3")
@both_engines
@given(layers(), st.data())
def test_one_pass_is_the_sum_of_passes(layer, data):
    """One pass at several ranks gives the sum of the passes at each of them."""
    ranks = data.draw(some_ranks(layer))
    dys = data.draw(matrices(layer.engine, len(ranks), len(layer.x), len(layer.B)))
    passes = [gradients(layer, dy, r) for dy, r in zip(dys, ranks, strict=True)]
    for found, *each in zip(joint_gradients(layer, dys, ranks), *passes, strict=True):
        assert (found == sum(each)).all()


class Quadratic(NamedTuple):
    """The loss sum of c y^2 / 2 + e y, and its gradient."""

    c: np.ndarray
    e: np.ndarray

    def __call__(self, y):
        return exact.inner(self.c, y * y) / 2 + exact.inner(self.e, y)

    def gradient(self, y):
        return self.c * y + self.e


@st.composite
def losses(draw, layer, count=1):
    """Losses with small integers as coefficients."""
    coefficients = draw(matrices(INTEGERS, count, 2, len(layer.x), len(layer.B)))
    return [Quadratic(*pair) for pair in coefficients]


@st.composite
def directions(draw, layer):
    """One direction for each argument."""
    return [draw(matrices(layer.engine, *array.shape)) for array in layer.arrays]


def derivative(f):
    """f'(0) of a polynomial of degree at most 6: the central difference of order 6 is exact."""
    weights = {1: Fraction(3, 4), 2: Fraction(-3, 20), 3: Fraction(1, 60)}
    return sum(w * (f(t) - f(-t)) for t, w in weights.items())


@pytest.mark.claim("GRD-4")
@both_engines
@given(layers(variants=MODERATE), st.data())
def test_gradient_of_any_loss_at_each_rank(layer, data):
    """The one pass gives the gradient for any differentiable loss at each rank.

    Each rank has a loss of its own; quadratic ones here, of outputs that have degree 3 along a line in (x, A, B, b).
    """
    ranks = data.draw(some_ranks(layer))
    at_rank = data.draw(losses(layer, len(ranks)))
    ys = layer.engine.call("multirank_linear", *layer.arrays, ranks=ranks)
    dys = np.stack([loss.gradient(y) for loss, y in zip(at_rank, ys, strict=True)])
    direction = data.draw(directions(layer))
    slope = derivative(
        lambda t: sum(loss(moved(layer, direction, t).output(r)) for loss, r in zip(at_rank, ranks, strict=True))
    )
    assert slope == sum(map(exact.inner, joint_gradients(layer, dys, ranks), direction))


@pytest.mark.claim("GRD-4")
@given(distinct_primes(4), seeds)
def test_gradient_of_a_transcendental_loss(sizes, seed):
    """The same for a loss that is no polynomial: cross entropy with its own labels at each rank, by complex steps."""
    n, d_in, d_out, R = sizes
    rng = np.random.default_rng(seed)
    ranks = (R, 1, (R + 1) // 2)
    labels = rng.integers(0, d_out, (len(ranks), n))

    def forward(x, A, B, b):
        ys, saved = ops.multirank_linear_forward(x, A, B, b, ranks)
        losses = [ops.softmax_cross_entropy_forward(*pair) for pair in zip(ys, labels, strict=True)]
        return sum(loss for loss, _ in losses), (saved, [context for _, context in losses])

    def backward(dtotal, saved):
        linear, contexts = saved
        dys = np.stack([ops.softmax_cross_entropy_backward(dtotal, context) for context in contexts])
        return ops.multirank_linear_backward(dys, linear)

    assert_gradient(forward, backward, normal(rng, (n, d_in), (R, d_in), (d_out, R), (d_out,)), rng)


@pytest.mark.claim("GRD-5")
@both_engines
@given(layers(variants=MODERATE), st.data())
def test_gradients_are_joint(layer, data):
    """The gradients are joint: in x, A, B and b together, of any differentiable loss of the outputs."""
    rank = data.draw(st.sampled_from(layer.ranks))
    (loss,) = data.draw(losses(layer))
    direction = data.draw(directions(layer))
    slope = derivative(lambda t: loss(moved(layer, direction, t).output(rank)))
    dy = loss.gradient(layer.output(rank))
    assert slope == sum(map(exact.inner, gradients(layer, dy, rank), direction))
