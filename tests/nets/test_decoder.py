"""Decoder against the complex step, its own passes at single ranks, and the dense decoder that it stands for."""

import dataclasses
import importlib

import numpy as np
import pytest
from decoders import NESTED, OPTIONS, assert_equal_to_rounding, decoder, rounded_params, tokens_of
from helpers import assert_gradient, constants, random_params

from nsn_ref import ops
from nsn_ref.errors import DTypeError, LabelError, NonFiniteError, OptionError, RankError, ShapeError
from nsn_ref.nets.decoder import Decoder
from nsn_ref.training.run import net_from_json, net_to_json


def at_ranks(net, tokens, ranks, **given):
    """The decoder at K ranks as a function of its parameters: their names, the forward and the backward."""
    names = [name for name in net.shapes() if name != "s"]

    def forward(*values):
        s = constants(np.zeros(net.R), like=values[0])
        return net.forward_ranks(dict(zip(names, values, strict=True)) | {"s": s}, tokens, ranks, **given)

    def backward(dlogits, saved):
        grads, dx = net.backward_ranks(dlogits, saved)
        assert dx is None
        assert grads.keys() == set(names)
        return tuple(grads[name] for name in names)

    return names, forward, backward


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("ranks", [[1], [2, 7]])
def test_backward_agrees_with_the_complex_step(rng, name, ranks):
    net = decoder(name)
    ranks = [min(r, net.R) for r in ranks]
    mask = np.array([[True, True, True], [False, True, True]])
    names, forward, backward = at_ranks(net, tokens_of(rng, net), ranks, mask=mask)
    params = random_params(rng, net)
    assert_gradient(forward, backward, [params[key] for key in names], rng)


@pytest.mark.parametrize("name", OPTIONS)
def test_k_ranks_in_one_pass_are_k_passes(rng, name):
    net = decoder(name)
    params, tokens = random_params(rng, net), tokens_of(rng, net)
    ranks = [net.R, 1, tuple(layer.R - 1 for layer in net.nested_layers), 1]
    logits, saved = net.forward_ranks(params, tokens, ranks)
    dlogits = rng.standard_normal(logits.shape)
    grads, _ = net.backward_ranks(dlogits, saved)
    z, bounds = net.forward_ranks(rounded_params(params), tokens, ranks)
    g, _ = net.backward_ranks(rounded_params({"": dlogits})[""], bounds)
    each = [net.forward(params, tokens, rank) for rank in ranks]
    assert_equal_to_rounding(logits, np.stack([one for one, _ in each]), z)
    own = [net.backward(d, context)[0] for d, (_, context) in zip(dlogits, each, strict=True)]
    for key, value in grads.items():
        assert_equal_to_rounding(value, sum(one[key] for one in own), g[key])


@pytest.mark.parametrize("name", OPTIONS)
def test_components_above_the_rank_play_no_role(rng, name):
    net = decoder(name)
    params, tokens, rank = random_params(rng, net), tokens_of(rng, net), net.R - 2
    z, saved = net.forward(params, tokens, rank)
    dz = rng.standard_normal(z.shape)
    grads, _ = net.backward(dz, saved)
    other = dict(params)
    for layer in net.nested_layers:
        r = min(rank, layer.R)
        A, B = f"{layer.key}.A", f"{layer.key}.B"
        assert (grads[A][r:] == 0).all() and (grads[B][:, r:] == 0).all()
        assert (grads[A][:r] != 0).all() and (grads[B][:, :r] != 0).all()
        other[A], other[B] = params[A].copy(), params[B].copy()
        other[A][r:], other[B][:, r:] = 1e6, -1e6
    again, saved = net.forward(other, tokens, rank)
    assert (again == z).all()
    assert all((g == grads[key]).all() for key, g in net.backward(dz, saved)[0].items())


@pytest.mark.parametrize("name", OPTIONS)
def test_at_full_rank_it_is_the_dense_decoder_exactly(rng, name):
    """A = W and B the identity: every product by B is exact."""
    plain = decoder(name, nested=())
    layers = plain.config.linear_layers
    net = decoder(name, nested=tuple((key, d_out) for key, (_, d_out, _) in layers.items()))
    params, tokens = random_params(rng, plain), tokens_of(rng, plain)
    factors = {key: value for key, value in params.items() if key.removesuffix(".W") not in layers}
    for key, (_, d_out, _) in layers.items():
        factors |= {f"{key}.A": params[f"{key}.W"], f"{key}.B": np.eye(d_out)}
    z, saved = plain.forward(params, tokens, 1)
    nested_z, nested_saved = net.forward(factors | {"s": np.zeros(net.R)}, tokens, net.R)
    assert (z == nested_z).all()
    dz = rng.standard_normal(z.shape)
    grads, nested_grads = plain.backward(dz, saved)[0], net.backward(dz, nested_saved)[0]
    assert all((grads[f"{key}.W"] == nested_grads[f"{key}.A"]).all() for key in layers)


def test_shared_layers_run_once(rng):
    """Of the blocks below the first nested layer there is one saved context, whatever the number of ranks."""
    net = decoder("gpt_neo", nested=(("blocks.1.mlp.down", 3),))
    _, saved = net.forward_ranks(random_params(rng, net), tokens_of(rng, net), [3, 2, 1])
    assert len(saved.trunk.layers) == 4  # embedding, the first block's two halves, attention of the second
    inside = saved.context[0]  # of the one branch of the second block's MLP
    assert len(inside.trunk.layers) == 3  # norm, up, activation
    assert len(saved.tails) == 3


def test_ranks_of_layers(rng):
    net = decoder("gpt_neox")
    keys = [layer.key for layer in net.nested_layers]
    assert keys == [key for key, _ in NESTED] and net.R == 7
    assert net.layer_ranks(4) == (4, 4, 3, 4)
    assert net.layer_ranks((1, 2, 3, 4)) == net.layer_ranks(dict(zip(keys, (1, 2, 3, 4), strict=True))) == (1, 2, 3, 4)
    for rank, message in (
        (0, r"rank is 0, expected an integer in 1\.\.7"),
        ((4, 7, 4, 5), r"rank\[2\] is 4, expected an integer in 1\.\.3"),
        ((1, 2), "expected an int or a tuple with one rank for each of the 4 nested layers"),
        ({"blocks.0.mlp.up": 1}, "rank has blocks.0.mlp.up, expected one rank for each of blocks.0.mlp.up, "),
    ):
        with pytest.raises(RankError, match=message):
            net.forward(random_params(rng, net), tokens_of(rng, net), rank)


@pytest.mark.parametrize("name", OPTIONS)
def test_later_tokens_and_padding_on_the_right_change_nothing(rng, name):
    net = decoder(name)
    params, tokens = random_params(rng, net), tokens_of(rng, net, T=5)
    z, _ = net.forward(params, tokens, 2)
    other = tokens.copy()
    other[:, 3:] = (tokens[:, 3:] + 1) % 7
    mask = np.broadcast_to(np.arange(5) < 3, tokens.shape)
    assert (net.forward(params, other, 2)[0][:, :3] == z[:, :3]).all()
    assert (net.forward(params, tokens, 2, mask=mask)[0][:, :3] == z[:, :3]).all()


@pytest.mark.parametrize("name", OPTIONS)
def test_padding_on_the_left_changes_nothing_at_shifted_positions(rng, name):
    net = decoder(name)
    params, tokens = random_params(rng, net), tokens_of(rng, net)
    padded = np.hstack([np.full((2, 2), 3), tokens])
    mask, positions = np.arange(5) >= 2, np.maximum(np.arange(5) - 2, 0)
    exact, _ = net.forward(rounded_params(params), tokens, 2)
    z, _ = net.forward(params, tokens, 2)
    shifted, _ = net.forward(params, padded, 2, mask=np.stack([mask, mask]), positions=positions)
    assert_equal_to_rounding(shifted[:, 2:], z, exact)


def test_rotations_see_differences_of_positions_only(rng):
    net = decoder("qwen2")
    params, tokens = random_params(rng, net), tokens_of(rng, net)
    exact, _ = net.forward(rounded_params(params), tokens, 2, positions=np.arange(3) + 8)
    z, _ = net.forward(params, tokens, 2)
    assert_equal_to_rounding(net.forward(params, tokens, 2, positions=np.arange(3) + 8)[0], z, exact)
    assert (net.forward(params, tokens, 2, positions=np.array([0, 2, 3]))[0] != z).any()


def test_a_window_as_long_as_the_sequence_is_none(rng):
    net, wide = decoder("gpt_neo"), decoder("gpt_neo", windows=(None, 5))
    params, tokens = random_params(rng, net), tokens_of(rng, net, T=5)
    assert (wide.forward(params, tokens, 2)[0] == decoder("gpt_neo", windows=None).forward(params, tokens, 2)[0]).all()
    assert (wide.forward(params, tokens, 2)[0] != net.forward(params, tokens, 2)[0]).any()


@pytest.mark.parametrize("name", OPTIONS)
def test_kernels_are_their_twins(rng, name):
    from nsn_ref import kernels

    net = decoder(name)
    params, tokens, ranks = random_params(rng, net), tokens_of(rng, net), [net.R, 2]
    exact, context = net.forward_ranks(rounded_params(params), tokens, ranks)
    bounds, _ = net.backward_ranks(exact, context)
    evaluated = [net.forward_ranks(params, tokens, ranks, ops=ops) for ops in (ops, kernels)]
    assert_equal_to_rounding(*(logits for logits, _ in evaluated), exact)
    ours, twin = (net.backward_ranks(evaluated[0][0], saved)[0] for _, saved in evaluated)
    assert ours.keys() == twin.keys()
    for key, g in twin.items():
        assert_equal_to_rounding(g, ours[key], bounds[key])


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("engine", ["ops", "kernels"])
def test_dtype_is_kept(rng, name, engine):
    net = decoder(name)
    params, ops = net.init(rng), importlib.import_module(f"nsn_ref.{engine}")
    logits, saved = net.forward_ranks(params, tokens_of(rng, net), [net.R, 1], ops=ops)
    grads, _ = net.backward_ranks(logits, saved)
    assert {a.dtype for a in (logits, *grads.values())} == {np.dtype(np.float32)}


def test_init(rng):
    net = decoder("gemma", nested=())
    params = net.init(np.random.default_rng(5), np.float64)
    assert {key: value.shape for key, value in params.items()} == net.shapes()
    assert (params["norm.w"] == 0).all()  # plus the offset: 1
    single = net.init(np.random.default_rng(5))
    assert all((params[key].astype(np.float32) == single[key]).all() for key in params)
    big = dict(vocabulary=64, hidden=128, intermediate=256, blocks=8, heads=4, context=64, head_dim=32)  # noqa: C408
    wide = decoder("gpt_neox", **big)
    params = wide.init(rng, np.float64)
    logits, _ = wide.forward(params, tokens_of(rng, wide, 2, 64), wide.R)
    assert 0.5 < np.mean(logits**2) < 2


def test_json_brings_the_same_decoder():
    net = decoder("gpt_neo")
    assert net_from_json(net_to_json(net)) == net
    assert Decoder(dataclasses.asdict(net.config)) == net
    with pytest.raises(OptionError, match=r"Decoder: config is None, expected a DecoderConfig"):
        Decoder(None)


def test_bad_input_is_named(rng):
    net = decoder("gpt_neox")
    params, tokens = random_params(rng, net), tokens_of(rng, net)

    def forward(new=tokens, **options):
        return net.forward(params | options.pop("params", {}), new, 2, **options)

    for error, message, arguments in (
        (ShapeError, r"tokens has shape \(2, 12\), expected \(n, T\) with T in 1\.\.11, the context",
         {"new": tokens_of(rng, net, T=12)}),
        (ShapeError, r"tokens has shape \(3,\), expected", {"new": tokens[0]}),
        (LabelError, r"tokens has the label 7, expected integers in 0\.\.6", {"new": tokens * 0 + 7}),
        (DTypeError, r"tokens has dtype float64, expected an ndarray of integers", {"new": tokens * 1.0}),
        (DTypeError, r"mask has dtype int64, expected an ndarray of booleans", {"mask": tokens}),
        (ShapeError, r"mask has shape \(2, 2\), expected \(2, 3\)", {"mask": np.ones((2, 2), dtype=bool)}),
        (ShapeError, r"positions has shape \(2,\), expected \(3,\) or \(2, 3\)", {"positions": np.arange(2)}),
        (OptionError, r"positions reach from 9 to 11, expected integers in 0\.\.10", {"positions": np.arange(3) + 9}),
        (ShapeError, r"norm\.w has shape \(1,\), expected \(6\)", {"params": {"norm.w": np.ones(1)}}),
        (NonFiniteError, r"norm\.b has NaN", {"params": {"norm.b": np.full(6, np.nan)}}),
        (ShapeError, r"params has 'mlp', expected only parameters of the network", {"params": {"mlp": np.ones(1)}}),
    ):  # fmt: skip
        with pytest.raises(error, match=rf"^Decoder\.forward: {message}"):
            forward(**arguments)
