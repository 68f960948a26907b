"""The bound between two ranks against the networks themselves, and where it is reached."""

import numpy as np
import pytest
from helpers import random_params

from nsn_ref import ops
from nsn_ref.analysis.interpolation import CHANGES, LIPSCHITZ, interpolation_bound, loss_interpolation_bound
from nsn_ref.errors import DTypeError, NonFiniteError, OptionError, RankError
from nsn_ref.nets.convnet import ConvNet
from nsn_ref.nets.layers import ACTIVATIONS
from nsn_ref.nets.mlp import MLP

SLACK = 1 + 2.0**-30  # the bound is computed in float64: thousands of roundings at most


@pytest.mark.parametrize("nested", [(True, True, True), (False, True, False), (True, False, True)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_bounds_the_change_of_every_input(rng, activation, nested):
    net = MLP((7, 5, 11, 3), R=13, nested=nested, activation=activation)
    params, x = random_params(rng, net), rng.standard_normal((2, 5, 7))
    every = tuple(int(r) for r in rng.integers(1, 14, sum(nested)))
    for rank, other in ((13, 1), (1, 13), (every, 6), (4, every)):
        change = np.linalg.norm(net.forward(params, x, rank)[0] - net.forward(params, x, other)[0], axis=-1)
        exact, data, energy = (
            interpolation_bound(net, params, x, rank, other, change=kind) for kind in ("exact", "data", "energy")
        )
        for smaller, larger in ((change, exact), (exact, data), (data, energy)):
            assert larger.shape == (2, 5) and (smaller <= larger * SLACK).all()


def test_it_is_reached_where_nothing_cancels(rng):
    """A chain of 1 x 1 layers of positive dyadic numbers: nothing is rounded, and every step of the proof is equal."""
    net = MLP((1, 1, 1, 1), R=5, nested=(True, False, True))
    params = {name: rng.integers(1, 16, shape) / 4 for name, shape in net.shapes().items()}
    params |= {name: np.zeros(1) for name in params if name.endswith(".b")}
    x = rng.integers(1, 16, (3, 1)) / 4
    for rank, other in ((5, 2), ((4, 5), (1, 3))):
        change = (net.forward(params, x, rank)[0] - net.forward(params, x, other)[0])[:, 0]
        for kind in CHANGES:
            assert (interpolation_bound(net, params, x, rank, other, change=kind) == change).all()


def test_equal_ranks_are_zero_apart(rng):
    net = MLP((7, 5, 3), R=4, nested=(True, True))
    assert (interpolation_bound(net, random_params(rng, net), rng.standard_normal((2, 7)), (2, 4), (2, 4)) == 0).all()


def test_loss_by_an_example():
    """norm(p - onehot) comes near sqrt(2) where the wrong class is sure, so the constant is the best one."""
    z = np.array([[0.0, 30.0, 0.0]])
    _, saved = ops.softmax_cross_entropy_forward(z, np.array([0]))
    steepest = np.linalg.norm(ops.softmax_cross_entropy_backward(1.0, saved)[0])
    assert 1.41421 < steepest <= np.sqrt(2)


def test_loss_bounds_the_change_of_the_mean_cross_entropy(rng):
    net = MLP((7, 5, 3), R=4)
    params, x, labels = random_params(rng, net), rng.standard_normal((11, 7)), rng.integers(0, 3, 11)
    high, low = (ops.softmax_cross_entropy_forward(net.forward(params, x, r)[0], labels)[0] for r in (4, 1))
    assert 0 < abs(high - low) <= loss_interpolation_bound(net, params, x, 4, 1, change="exact") * SLACK


@pytest.mark.parametrize("name", LIPSCHITZ)
def test_constants_are_the_largest_slopes_rounded_up(name):
    stem, options = ACTIVATIONS[name]
    z = np.linspace(-6, 6, 120_001)[None]
    _, saved = getattr(ops, f"{stem}_forward")(z, **options)
    slope = np.abs(getattr(ops, f"{stem}_backward")(np.ones_like(z), saved)).max()
    assert slope <= LIPSCHITZ[name] <= slope + 2e-5


def test_bad_input_is_named(rng):
    net = MLP((7, 5, 3), R=4)
    params, x = random_params(rng, net), rng.standard_normal((2, 7))
    with pytest.raises(RankError, match=r"interpolation_bound: rank is 5, expected an integer in 1\.\.4"):
        interpolation_bound(net, params, x, 2, 5)
    with pytest.raises(OptionError, match="interpolation_bound: change is 'tail', expected one of 'energy', 'data'"):
        interpolation_bound(net, params, x, 2, 4, change="tail")
    with pytest.raises(NonFiniteError, match="interpolation_bound: x has NaN or infinity"):
        interpolation_bound(net, params, x * np.inf, 2, 4)
    with pytest.raises(DTypeError, match="interpolation_bound: x has dtype complex128, expected an ndarray of float32"):
        interpolation_bound(net, params, x + 0j, 2, 4)
    conv = ConvNet((2, 3), classes=5, R=4)
    with pytest.raises(OptionError, match="interpolation_bound: net has a NestedConv2d, expected linear layers and"):
        interpolation_bound(conv, conv.init(rng, np.float64), rng.standard_normal((1, 2, 5, 5)), 2, 1)
