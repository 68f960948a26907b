"""One rank, prepared: against the reference, and what is multiplied out."""

import numpy as np
import pytest
from helpers import random_fractions, random_params

from nsn_ref import MLP, ConvNet, Decoder, DecoderConfig
from nsn_ref.certify import balls, rounding
from nsn_ref.errors import DTypeError, OptionError, RankError, ShapeError
from nsn_ref.inference import Predictor, multiplied_out

NETS = [
    (MLP((3, 5, 7, 2), R=11), (4, 3)),
    (MLP((3, 5, 2), R=7, nested=(False, True), activation="silu"), (2, 3, 3)),
    (MLP((2, 3), R=5, nested=(True,)), (1, 2)),
    (ConvNet((2, 3, 5), 3, R=7, nested=(True, True, True)), (2, 2, 2, 4)),
]


@pytest.mark.parametrize(("net", "shape"), NETS)
@pytest.mark.parametrize("multiply_out", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_predictor_is_the_reference(rng, net, shape, multiply_out, dtype):
    params = {key: value.astype(dtype) for key, value in random_params(rng, net).items()}
    x = rng.standard_normal(shape).astype(dtype)
    for rank in sorted({1, (net.R + 1) // 2, net.R}):

        def forward(x, *values, rank=rank):
            own = net, dict(zip(params, values, strict=True)), rank
            at = multiplied_out(*own) if multiply_out else own
            return {"logits": at[0].forward(at[1], x, at[2])[0]}

        truth = balls.certified(forward, x, *params.values())["logits"]
        with rounding.precision(x.dtype.name):
            bound = rounding.errors(forward(*map(rounding.rounded, (x, *params.values())))["logits"])
        logits = Predictor(net, params, rank, multiply_out=multiply_out)(x)
        assert logits.dtype == dtype and logits.shape == truth.shape
        assert (np.abs(logits - truth) <= bound + 2.0**-53 * np.abs(truth)).all()


@pytest.mark.parametrize(("net", "shape"), [pair for pair in NETS if pair[0].activation == "relu"])
def test_multiplied_out_is_the_same_network_exactly(rng, net, shape):
    params = {name: random_fractions(rng, *size) for name, size in net.shapes().items()}
    x = random_fractions(rng, *shape)
    for rank in range(1, net.R + 1):
        new, own, kept = multiplied_out(net, params, rank)
        assert (new.forward(own, x, kept)[0] == net.forward(params, x, rank)[0]).all()


def test_a_decoder_is_multiplied_out(rng):
    """Break-even of up and down at 11 * 13 / 24 = 5.96, of k at 11 * 4 / 15 = 2.9."""
    nested = (("blocks.0.attention.k", 4), ("blocks.1.mlp.up", 7), ("blocks.1.mlp.down", 9))
    config = DecoderConfig(
        vocabulary=17, hidden=11, intermediate=13, blocks=2, heads=3, kv_heads=1, head_dim=4, context=7, rotary=2,
        mlp_bias=False, nested=nested,
    )  # fmt: skip
    net = Decoder(config)
    params, tokens = random_params(rng, net), rng.integers(0, 17, (2, 5))
    for rank, left, kept in (
        (2, nested, (2, 2, 2)),
        (3, nested[1:], (3, 3)),
        (6, (), ()),
        ((1, 7, 5), (nested[0], nested[2]), (1, 5)),
    ):
        at = multiplied_out(net, params, rank)
        assert at.net.config.nested == left and at.rank == kept
        z, expected = at.net.forward(at.params, tokens, at.rank)[0], net.forward(params, tokens, rank)[0]
        assert not np.max(np.abs(z - expected)) > 1e-13 * np.max(np.abs(expected))
    with pytest.raises(OptionError, match="Predictor: net is a Decoder"):
        Predictor(net, params, 1)


def test_layers_are_multiplied_out_from_the_break_even_rank_on(rng):
    net = MLP((3, 6, 12, 5), R=9)  # break-even at 3 * 6 / 9 = 2, and at 6 * 12 / 18 = 4
    params = random_params(rng, net)
    for rank, nested, kept in (
        (1, (True, True, False), (1, 1)),
        (2, (False, True, False), (2,)),
        (4, (False, False, False), ()),
        ((1, 4), (True, False, False), (1,)),
    ):
        at = multiplied_out(net, params, rank)
        assert at.net.nested == nested and at.rank == kept
        assert at.params.keys() == at.net.shapes().keys()
    assert at.params["layers.1.W"] == pytest.approx(params["layers.1.B"][:, :4] @ params["layers.1.A"][:4], rel=1e-12)


def test_a_predictor_keeps_its_weights_and_leaves_its_input(rng):
    net = MLP((3, 5, 2), R=4)
    params, x = net.init(rng), rng.standard_normal((6, 3)).astype(np.float32)
    predict, before = Predictor(net, params, 2), x.copy()
    logits = predict(x)
    params["layers.0.A"][:], params["layers.1.W"][:] = 0, 0
    read_only = np.asfortranarray(x)
    read_only.flags.writeable = False
    assert (predict(read_only) == logits).all() and (x == before).all()
    assert np.isnan(predict(x * np.float32(np.nan))).all()
    assert predict(x[:0]).shape == (0, 2)


def test_what_is_refused(rng):
    net = MLP((3, 5, 2), R=4)
    params = net.init(rng)
    predict = Predictor(net, params, 4)
    with pytest.raises(DTypeError, match=r"Predictor: x has dtype float64, expected float32"):
        predict(np.ones((2, 3)))
    with pytest.raises(DTypeError, match=r"Predictor: x is a list"):
        predict([[1.0, 2.0, 3.0]])
    with pytest.raises(ShapeError, match=r"Predictor: x has shape \(2, 4\), expected"):
        predict(np.ones((2, 4), np.float32))
    with pytest.raises(RankError, match=r"Predictor: rank is 5, expected"):
        Predictor(net, params, 5)
    with pytest.raises(DTypeError, match=r"Predictor: layers.0.A has dtype complex128, expected float32 or float64"):
        Predictor(net, {key: value.astype(np.complex128) for key, value in params.items()}, 4)
