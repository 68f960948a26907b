"""ConvNet against the formula written out, the complex step, and its own passes at single ranks."""

import importlib
from fractions import Fraction

import numpy as np
import pytest
from helpers import assert_gradient, assert_number_type, network_at, random_fractions, random_params

from nsn_ref import kernels, ops
from nsn_ref.errors import OptionError, RankError, ShapeError
from nsn_ref.nets.convnet import ConvNet
from nsn_ref.nets.loss_and_grads import loss_and_grads

NESTED = [None, (True, True, True), (False, True, False), (True, False, True), (False, False, False)]


def weights(params, i, rank):
    """The kernels of layer i at one rank, (c_out, c_in, k, k), or the matrix of the head."""
    if f"layers.{i}.W" in params:
        return params[f"layers.{i}.W"]
    return np.tensordot(params[f"layers.{i}.B"][:, :rank], params[f"layers.{i}.A"][:rank], axes=1)


def convolved(x, W, b):
    """A convolution that keeps the image's size, as a sum over the kernel's positions."""
    n, c_in, H, W_ = x.shape
    k = W.shape[-1]
    padded = np.full((n, c_in, H + k - 1, W_ + k - 1), Fraction(0), dtype=object)
    padded[:, :, k // 2 : k // 2 + H, k // 2 : k // 2 + W_] = x
    y = 0
    for i in range(k):
        for j in range(k):
            y = y + np.tensordot(padded[:, :, i : i + H, j : j + W_], W[:, :, i, j], axes=(1, 1))
    return np.moveaxis(y + b, -1, 1)


@pytest.mark.parametrize("nested", NESTED)
def test_forward_is_the_formula_exactly(rng, nested):
    net = ConvNet((2, 3, 5), 7, R=11, nested=nested)
    params = {name: random_fractions(rng, *shape) for name, shape in net.shapes().items()}
    x, rank = random_fractions(rng, 2, 2, 4, 6), 4
    h = convolved(x, weights(params, 0, rank), params["layers.0.b"])
    h = h * (h > 0)
    h = (h[:, :, ::2, ::2] + h[:, :, 1::2, ::2] + h[:, :, ::2, 1::2] + h[:, :, 1::2, 1::2]) / 4
    h = convolved(h, weights(params, 1, rank), params["layers.1.b"])
    h = (h * (h > 0)).sum(axis=(2, 3)) / 6
    expected = h @ weights(params, 2, rank).T + params["layers.2.b"]
    logits, _ = net.forward(params, x, rank)
    assert (logits == expected).all()
    assert_number_type(Fraction, logits)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("rank", [1, 4, 5])
def test_backward_agrees_with_the_complex_step(rng, activation, rank):
    net = ConvNet((2, 3, 2), 3, R=5, activation=activation)
    names, forward, backward = network_at(net, rank)
    params = random_params(rng, net)
    assert_gradient(forward, backward, [rng.standard_normal((1, 2, 2, 4)), *(params[name] for name in names)], rng)


@pytest.mark.parametrize("nested", NESTED)
def test_k_ranks_are_k_passes_exactly(rng, nested):
    net = ConvNet((2, 3, 2), 3, R=5, nested=nested)
    params = {name: random_fractions(rng, *shape) for name, shape in net.shapes().items()}
    x = random_fractions(rng, 2, 2, 2, 4)
    logits, saved = net.forward_ranks(params, x, [5, 2])
    dlogits = random_fractions(rng, *logits.shape)
    grads, dx = net.backward_ranks(dlogits, saved)
    (z, context), (z_2, context_2) = (net.forward(params, x, rank) for rank in (5, 2))
    assert (logits == np.stack([z, z_2])).all()
    (own, own_dx), (own_2, own_dx_2) = net.backward(dlogits[0], context), net.backward(dlogits[1], context_2)
    assert all((grads[name] == own[name] + own_2[name]).all() for name in net.shapes().keys() - {"s"})
    assert (dx == own_dx + own_dx_2).all()


@pytest.mark.parametrize("engine", [ops, kernels])
def test_patches_of_a_shared_input_are_made_once(rng, monkeypatch, engine):
    net = ConvNet((2, 3, 2), 3, R=5, nested=(True, False, False))
    module = importlib.import_module(f"{engine.__name__}.nested_conv2d")
    made, patches = [], module.patches
    monkeypatch.setattr(module, "patches", lambda *arguments: made.append(1) or patches(*arguments))
    net.forward_ranks(random_params(rng, net), rng.standard_normal((2, 2, 4, 4)), [5, 2, 3], engine)
    assert len(made) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("initialisation", ["random", "svd"])
def test_init_keeps_dtype_and_scale(rng, dtype, initialisation):
    net = ConvNet((5, 40, 60), 3, R=32)
    params = net.init(rng, dtype, initialisation)
    x = rng.standard_normal((3, 5, 8, 10)).astype(dtype)
    logits, saved = net.forward(params, x, 32)
    grads, dx = net.backward(logits, saved)
    assert {a.dtype for a in (logits, dx, *params.values(), *grads.values())} == {np.dtype(dtype)}
    assert 0.4 < np.mean(saved.outputs[1] ** 2) < 2.5


def test_cap_stores_what_a_full_rank_layer_needs():
    shapes = ConvNet((1, 2, 20), 3, R=11, kernel=3, cap=True).shapes()
    assert shapes["layers.0.A"] == (2, 1, 3, 3) and shapes["layers.0.B"] == (2, 2)  # c_out = 2 < 9
    assert shapes["layers.1.A"] == (11, 2, 3, 3) and shapes["s"] == (11,)
    assert ConvNet((1, 20), 3, R=11, kernel=3, cap=True).shapes()["layers.0.B"] == (20, 9)


def test_regularisers_average_over_images(rng):
    """A hidden output (n, c, H, W) is one vector for each image: the mean is over n, not over rows of pixels."""
    net = ConvNet((1, 2, 3), 2, R=3)
    params, x, targets = random_params(rng, net), rng.standard_normal((5, 1, 4, 6)), np.arange(5) % 2
    found = loss_and_grads(net, params, x, targets, [3, 1], regularisers={"hidden": 1.0}).penalties["hidden"]
    saved = [net.forward(params, x, rank)[1] for rank in (3, 1)]
    expected = sum(np.sum((saved[0].outputs[i] - saved[1].outputs[i]) ** 2) / 5 for i in (1, 4))  # after each relu
    assert found == pytest.approx(expected, rel=1e-13)


def test_bad_networks_and_input_are_named(rng):
    with pytest.raises(OptionError, match=r"ConvNet: kernel is 2, expected an odd integer"):
        ConvNet((1, 2), 3, R=2, kernel=2)
    with pytest.raises(OptionError, match=r"ConvNet: nested is \(True,\), expected a tuple of 2 booleans"):
        ConvNet((1, 2), 3, R=2, nested=(True,))
    with pytest.raises(OptionError, match=r"ConvNet: classes is 0"):
        ConvNet((1, 2), 0, R=2)
    net = ConvNet((1, 2, 3), 3, R=2)
    params = random_params(rng, net)
    with pytest.raises(ShapeError, match=r"ConvNet.forward: x has shape \(4, 2, 8, 8\), expected \(n, 1, H, W\)"):
        net.forward(params, np.ones((4, 2, 8, 8)), 1)
    with pytest.raises(ShapeError, match=r"expected H and W divisible by \(2, 2\)"):
        net.forward(params, np.ones((4, 1, 7, 8)), 1)
    with pytest.raises(RankError, match=r"ConvNet.forward: rank is 3"):
        net.forward(params, np.ones((4, 1, 8, 8)), 3)
