"""ENG: Proposition 1 for a deep network, on drawn ones without rounding and on a trained one."""

import functools
from fractions import Fraction

import numpy as np
import pytest
from claims import exact
from helpers import fractions
from hypothesis import given
from hypothesis import strategies as st

from nsn_ref import MLP, kernels, loss_and_grads, ops
from nsn_ref.analysis import interpolation

SLACK = 1 + Fraction(1, 2**30)  # the bound is computed in float64: thousands of roundings at most
KINDS = ("exact", "data", "energy")  # from the smallest bound to the largest


@st.composite
def networks(draw):
    """(net, params, x) with any set of nested layers, of numbers on which ReLU networks are exact: k / 4, scaled."""
    widths = tuple(draw(st.lists(st.integers(1, 5), min_size=3, max_size=5)))
    nested = tuple(draw(st.lists(st.booleans(), min_size=len(widths) - 1, max_size=len(widths) - 1)))
    net = MLP(widths, R=draw(st.integers(1, 6)), nested=nested if any(nested) else None)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 2.0 ** draw(st.sampled_from([0, -60, 60]))
    params = {name: rng.integers(-9, 10, shape) / 4 * scale for name, shape in net.shapes().items()}
    for layer in net.nested_layers:
        if draw(st.booleans()):  # a zero component
            params[f"{layer.key}.A"][rng.integers(layer.R)] = 0
    return net, params, rng.integers(-9, 10, (3, widths[0])) / 4


def some_ranks(data, net):
    """One rank for all layers, or one for each."""
    one = st.integers(1, net.R)
    return data.draw(st.one_of(one, st.tuples(*[one] * len(net.nested_layers))))


def square_changes(net, params, x, rank, other):
    """The squared distances between the outputs at two ranks, without rounding."""
    params, x = {name: fractions(value) for name, value in params.items()}, fractions(x)
    changes = net.forward(params, x, rank)[0] - net.forward(params, x, other)[0]
    return [exact.inner(row, row) for row in changes]


@functools.cache
def trained():
    """A network with three nested layers, trained for 300 steps on three clouds of points; and points not seen."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    x = rng.standard_normal((300, 7)) + 4 * np.eye(3, 7)[labels]
    net = MLP((7, 13, 11, 5, 3), R=6)
    params = net.init(rng, np.float64)
    for _ in range(300):
        batch, ranks = rng.integers(0, 200, 32), [6, int(rng.integers(1, 6))]
        out = loss_and_grads(net, params, x[batch], labels[batch], ranks, objective="sum", ops=kernels)
        params = {name: p - 0.05 * out.grads[name] for name, p in params.items()}
    return net, params, x[200:], labels[200:]


@pytest.mark.claim("ENG-5")
@given(networks(), st.data())
def test_bound_of_a_deep_network(drawn, data):
    """Proposition 1 for a deep network with a rank for each layer: the energies between the ranks, multiplied by the
    Lipschitz constants of the layers that follow.
    """
    rank, other = (some_ranks(data, drawn[0]) for _ in range(2))
    smaller = square_changes(*drawn, rank, other)
    for kind in KINDS:
        bounds = fractions(interpolation.interpolation_bound(*drawn, rank, other, change=kind)) * SLACK
        assert all(less <= more**2 for less, more in zip(smaller, bounds, strict=True)), kind
        smaller = [bound**2 for bound in bounds]


@pytest.mark.claim("ENG-5")
@given(st.integers(2, 4), st.integers(1, 5), st.integers(0, 2**32 - 1), st.data())
def test_bound_is_reached(depth, R, seed, data):
    """It is reached, to the bit, by chains of positive 1 x 1 layers: no step of the proof can be improved."""
    net = MLP((1,) * (depth + 1), R=R, nested=(True,) * depth)
    rng = np.random.default_rng(seed)
    params = {name: rng.integers(1, 9, shape) / 4.0 for name, shape in net.shapes().items()}
    params |= {name: np.zeros(1) for name in params if name.endswith(".b")}
    high, low = [], []
    for _ in range(depth):
        a, b = (data.draw(st.integers(1, R)) for _ in range(2))
        high, low = [*high, max(a, b)], [*low, min(a, b)]
    x = rng.integers(1, 9, (3, 1)) / 4
    changes = square_changes(net, params, x, tuple(high), tuple(low))
    for kind in KINDS:
        bounds = fractions(interpolation.interpolation_bound(net, params, x, tuple(high), tuple(low), change=kind))
        assert [bound**2 for bound in bounds] == changes


@pytest.mark.claim("ENG-5")
@given(st.integers(1, 6), st.integers(1, 6))
def test_bound_of_a_trained_network(rank, other):
    """On a trained network: the logits, for inputs that it has not seen, and the mean cross-entropy."""
    net, params, x, labels = trained()
    z, moved = (net.forward(params, x, r)[0] for r in (rank, other))
    loss, moved_loss = (ops.softmax_cross_entropy_forward(logits, labels)[0] for logits in (z, moved))
    for kind in KINDS:
        bound = interpolation.interpolation_bound(net, params, x, rank, other, change=kind)
        assert (np.linalg.norm(z - moved, axis=1) <= bound * float(SLACK)).all()
        loss_bound = interpolation.loss_interpolation_bound(net, params, x, rank, other, change=kind)
        assert abs(loss - moved_loss) <= loss_bound * float(SLACK)


@pytest.mark.claim("ENG-5")
def test_trained_network_has_learnt():
    """So that the test above is about a trained network: at full rank it is right about nine points in ten."""
    net, params, x, labels = trained()
    z, _ = net.forward(params, x, 6)
    assert np.mean(z.argmax(axis=1) == labels) > 0.9
