"""MLP against the formula written out, the complex step, and its own passes at single ranks."""

from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from helpers import (
    assert_gradient,
    assert_number_type,
    fractions,
    network_at,
    normal,
    random_fractions,
    random_params,
)

from nsn_ref.errors import DTypeError, NonFiniteError, OptionError, RankError, ShapeError
from nsn_ref.nets.mlp import MLP

NESTED = [None, (True, True, True), (False, True, False), (True, False, True), (False, False, True)]


@pytest.mark.parametrize("nested", NESTED)
@pytest.mark.parametrize("rank", [1, 4, 7])
def test_forward_is_the_formula_exactly(rng, nested, rank):
    net = MLP((3, 5, 2, 11), R=7, nested=nested)  # R lies above min(d_in, d_out) of every layer
    params = {name: random_fractions(rng, *shape) for name, shape in net.shapes().items()}
    x = random_fractions(rng, 2, 3)
    h = x
    for i in range(3):
        if f"layers.{i}.A" in params:
            W = params[f"layers.{i}.B"][:, :rank] @ params[f"layers.{i}.A"][:rank]
        else:
            W = params[f"layers.{i}.W"]
        h = h @ W.T + params[f"layers.{i}.b"]
        if i < 2:
            h = h * (h > 0)
    logits, _ = net.forward(params, x, rank)
    assert (logits == h).all()
    assert_number_type(Fraction, logits)


@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh", "silu"])
@pytest.mark.parametrize("rank", [1, 7, 11])
def test_backward_agrees_with_the_complex_step(rng, activation, rank):
    net = MLP((13, 5, 3, 2), R=11, activation=activation)
    names, forward, backward = network_at(net, rank)
    params = random_params(rng, net)
    assert_gradient(forward, backward, [rng.standard_normal((2, 13)), *(params[name] for name in names)], rng)


@pytest.mark.parametrize("nested", NESTED)
def test_backward_of_any_set_of_nested_layers_and_of_sequences(rng, nested):
    net = MLP((7, 5, 3, 2), R=4, nested=nested)
    names, forward, backward = network_at(net, 3)
    params = random_params(rng, net)
    assert_gradient(forward, backward, [rng.standard_normal((2, 3, 7)), *(params[name] for name in names)], rng)


@pytest.mark.parametrize("nested", NESTED)
def test_k_ranks_in_one_pass_are_k_passes_exactly(rng, nested):
    net = MLP((5, 7, 3, 2), R=11, nested=nested)
    params = {name: random_fractions(rng, *shape) for name, shape in net.shapes().items()}
    x, count = random_fractions(rng, 2, 5), len(net.nested_layers)
    ranks = [11, 1, (4, 9, 2)[:count], 6, 1]
    logits, saved = net.forward_ranks(params, x, ranks)
    dlogits = random_fractions(rng, *logits.shape)
    grads, dx = net.backward_ranks(dlogits, saved)
    expected_grads, expected_dx = {}, 0
    for k, rank in enumerate(ranks):
        z, context = net.forward(params, x, rank)
        assert (logits[k] == z).all()
        own, dx_k = net.backward(dlogits[k], context)
        expected_grads = {name: expected_grads.get(name, 0) + g for name, g in own.items()}
        expected_dx = expected_dx + dx_k
    assert grads.keys() == expected_grads.keys() == net.shapes().keys() - {"s"}
    assert all((grads[name] == expected_grads[name]).all() for name in grads)
    assert (dx == expected_dx).all()
    assert_number_type(Fraction, logits, dx, *grads.values())


def test_a_network_without_nested_layers_is_dense(rng):
    net = MLP((5, 7, 2), R=1, nested=(False, False))
    params, x = random_params(rng, net), rng.standard_normal((3, 5))
    logits, saved = net.forward_ranks(params, x, [1])
    z, context = net.forward(params, x, 1)
    assert (logits == z).all()
    grads, _ = net.backward_ranks(logits, saved)
    assert all((grads[name] == g).all() for name, g in net.backward(z, context)[0].items())


def test_an_int_is_the_same_rank_in_every_layer(rng):
    net = MLP((5, 7, 3, 2), R=11)
    params, x = random_params(rng, net), rng.standard_normal((3, 5))
    assert (net.forward(params, x, 6)[0] == net.forward(params, x, (6, 6))[0]).all()
    assert (net.forward(params, x, 6)[0] != net.forward(params, x, (6, 5))[0]).any()


def test_cap_stores_what_a_full_rank_layer_needs(rng):
    net = MLP((5, 7, 3, 2), R=11, cap=True)
    shapes = net.shapes()
    assert shapes["layers.0.A"] == (5, 5) and shapes["layers.1.B"] == (3, 3) and shapes["s"] == (11,)
    params, x = random_params(rng, net), rng.standard_normal((3, 5))
    assert (net.forward(params, x, 4)[0] == net.forward(params, x, (4, 3))[0]).all()
    with pytest.raises(RankError, match=r"MLP.forward: rank\[1\] is 4, expected an integer in 1\.\.3"):
        net.forward(params, x, (4, 4))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(rng, dtype):
    net = MLP((5, 7, 2), R=3, activation="gelu")
    params, x = net.init(rng, dtype), rng.standard_normal((2, 5)).astype(dtype)
    logits, saved = net.forward(params, x, 2)
    grads, dx = net.backward(logits, saved)
    assert {a.dtype for a in (logits, dx, *params.values(), *grads.values())} == {np.dtype(dtype)}


@pytest.mark.parametrize("initialisation", ["random", "svd"])
@pytest.mark.parametrize("R", [16, 64, 512])
def test_init_keeps_the_scale_of_activations_at_full_rank(rng, initialisation, R):
    """The mean square after each activation stays near that of the input, 1: wide layers, so it fluctuates little."""
    net = MLP((400, 300, 500, 200, 10), R=R)
    params = net.init(rng, np.float64, initialisation)
    _, saved = net.forward(params, rng.standard_normal((50, 400)), R)
    after = [np.mean(y * y) for layer, y in zip(saved.layers, saved.outputs, strict=True) if hasattr(layer, "name")]
    assert len(after) == 3
    for mean_square in after:
        assert 0.4 < mean_square < 2.5


@pytest.mark.parametrize("nested", [(True, False), (True, True)])
def test_init_of_the_head_has_gain_one(rng, nested):
    """No activation follows it: logits have the mean square of the last hidden layer, not twice that."""
    net = MLP((400, 500, 300), R=250, nested=nested)
    _, saved = net.forward(net.init(rng, np.float64), rng.standard_normal((50, 400)), 250)
    *_, hidden, logits = saved.outputs
    assert 0.8 < np.mean(logits**2) / np.mean(hidden**2) < 1.25


def test_svd_init_is_the_best_at_every_rank(rng):
    """W_r has the r largest singular values of W_R, balanced between the factors (Eckart-Young)."""
    net = MLP((7, 11, 5), R=13, nested=(True, False))
    params = net.init(rng, np.float64, "svd")
    A, B = params["layers.0.A"], params["layers.0.B"]
    values = np.linalg.svd(B @ A, compute_uv=False)
    for r in (1, 4, 7):
        rest = np.linalg.norm(B @ A - B[:, :r] @ A[:r])
        assert rest == pytest.approx(np.sqrt((values[r:] ** 2).sum()), abs=1e-13 * values[0])
    assert (B[:, 7:] == 0).all() and (A[7:] != 0).all()
    assert np.allclose(np.linalg.norm(A[:7], axis=1), np.linalg.norm(B[:, :7], axis=0), rtol=1e-13)


def test_init_is_deterministic_and_the_dtype_only_rounds():
    net = MLP((7, 11, 5), R=3)
    first, again, single = (net.init(np.random.default_rng(5), dtype) for dtype in (np.float64, np.float64, np.float32))
    assert all((first[name] == again[name]).all() for name in first)
    assert all((first[name].astype(np.float32) == single[name]).all() for name in first)
    assert all((first[name] == 0).all() for name in ("layers.0.b", "layers.1.b", "s"))


def test_bad_networks_are_named():
    with pytest.raises(OptionError, match=r"MLP: widths is '32', expected a tuple"):
        MLP("32", R=1)
    with pytest.raises(OptionError, match=r"MLP: widths\[1\] is 0, expected an integer of at least 1"):
        MLP((3, 0, 2), R=1)
    with pytest.raises(OptionError, match=r"MLP: R is 0"):
        MLP((3, 2), R=0)
    with pytest.raises(OptionError, match=r"MLP: nested is \(True,\), expected a tuple of 2 booleans"):
        MLP((3, 5, 2), R=1, nested=(True,))
    with pytest.raises(OptionError, match=r"MLP: activation is 'tanh', expected one of 'relu', 'gelu'"):
        MLP((3, 2), R=1, activation="tanh")
    with pytest.raises(OptionError, match=r"MLP.init: initialisation is 'zeros'"):
        MLP((3, 2), R=1).init(np.random.default_rng(0), initialisation="zeros")
    with pytest.raises(OptionError, match=r"MLP.init: dtype is .*float16"):
        MLP((3, 2), R=1).init(np.random.default_rng(0), np.float16)


def test_bad_input_is_named(rng):
    net = MLP((3, 5, 2), R=7)
    params, (x,) = random_params(rng, net), normal(rng, (4, 3))
    forward = partial(net.forward, x=x, rank=2)
    with pytest.raises(ShapeError, match=r"MLP.forward: params has no 'layers.0.B', expected an array of"):
        forward({name: value for name, value in params.items() if name != "layers.0.B"})
    with pytest.raises(ShapeError, match=r"MLP.forward: params has 'layers.7.A', expected only"):
        forward(params | {"layers.7.A": x})
    with pytest.raises(ShapeError, match=r"MLP.forward: layers.0.B has shape \(7, 5\), expected \(5, 7\)"):
        forward(params | {"layers.0.B": params["layers.0.B"].T})
    with pytest.raises(DTypeError, match=r"MLP.forward: s holds float32, expected float64 as x does"):
        forward(params | {"s": params["s"].astype(np.float32)})
    with pytest.raises(NonFiniteError, match=r"MLP.forward: layers\.1\.b has NaN"):
        forward(params | {"layers.1.b": np.full(2, np.nan)})
    with pytest.raises(ShapeError, match=r"MLP.forward: x has shape \(4, 2\), expected \(\.\.\., 3\)"):
        net.forward(params, x[:, :2], 2)
    for rank in (0, 8, True, 1.0, None, [2]):
        with pytest.raises(RankError, match=r"MLP.forward: rank is .*, expected an integer in 1\.\.7"):
            net.forward(params, x, rank)
    with pytest.raises(
        RankError, match=r"rank is \(2, 2\), expected an int or a tuple with one rank for each of the 1"
    ):
        net.forward(params, x, (2, 2))
    for ranks in ((), [], 3, None):
        with pytest.raises(RankError, match=r"MLP.forward_ranks: ranks is .*, expected a non-empty list of ranks"):
            net.forward_ranks(params, x, ranks)
    with pytest.raises(RankError, match=r"MLP.forward_ranks: rank is 8"):
        net.forward_ranks(params, x, [7, 8])


def test_fractions_refuse_what_is_not_rational(rng):
    from nsn_ref.errors import NumberSystemError

    net = MLP((3, 5, 2), R=2, activation="silu")
    params = {name: fractions(value) for name, value in random_params(rng, net).items()}
    with pytest.raises(NumberSystemError):
        net.forward(params, random_fractions(rng, 2, 3), 1)
