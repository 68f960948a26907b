"""A decoder's cost by counting its parameters, and the paper's figure from a configuration alone."""

import dataclasses
import math

import numpy as np
import pytest

from nsn_ref.analysis.cost import PYTHIA_2_8B, transformer_share
from nsn_ref.analysis.decoder_cost import decoder_cost, rank_for_share
from nsn_ref.errors import OptionError, RankError
from nsn_ref.inference import multiplied_out
from nsn_ref.nets.decoder import Decoder, DecoderConfig
from nsn_ref.surgery.choice import nested_config

PYTHIA = DecoderConfig(
    vocabulary=50304, hidden=2560, intermediate=10240, blocks=32, heads=32, context=2048, rotary=20, parallel=True
)
SMALL = DecoderConfig(
    vocabulary=29, hidden=12, intermediate=17, blocks=2, heads=3, kv_heads=1, context=7, gated=True, norm="rms_norm",
    rotary=4, out_bias=False, mlp_bias=False, tied=True, activation="silu",
)  # fmt: skip


@pytest.mark.parametrize("rank, percent", [(1024, 68), (512, 52), (256, 45), (1, 37)])
def test_figure_7_from_the_configuration(rank, percent):
    """Arithmetic as the paper counts it: factors at every rank."""
    share = decoder_cost(nested_config(PYTHIA), rank, cached=False).share
    assert round(100 * share) == percent
    assert share == transformer_share(PYTHIA_2_8B, rank)


@pytest.mark.parametrize(
    "config", [SMALL, dataclasses.replace(SMALL, tied=False), dataclasses.replace(PYTHIA, blocks=2, windows=None)]
)
@pytest.mark.parametrize("layers", ["mlp", "attention", "mlp,attention", "blocks.1.*"])
def test_a_cost_is_the_parameters_that_a_token_passes(config, layers):
    """Counted from the shapes of the nested decoder: all parameters, at rank r only r rows of A and columns of B."""
    config = nested_config(config, layers)
    net = Decoder(config)
    table = config.vocabulary * config.hidden if config.tied else 0
    plain = Decoder(dataclasses.replace(config, nested=())).shapes()
    dense = sum(math.prod(shape) for name, shape in plain.items() if name != "embedding.E") + table
    for ranks in (net.layer_ranks(1), net.layer_ranks(net.R), tuple(1 + i % 3 for i in range(len(net.nested_layers)))):
        at = dict(zip((layer.key for layer in net.nested_layers), ranks, strict=True))
        count = table
        for name, shape in net.shapes().items():
            key, leaf = name.rsplit(".", 1) if "." in name else (name, "")
            if key in at:
                count += {"A": at[key] * shape[-1], "B": at[key] * shape[0], "b": 0}[leaf]
            elif name not in ("embedding.E", "s"):
                count += math.prod(shape)
        cost = decoder_cost(config, ranks, cached=False)
        assert (cost.weights, cost.dense, cost.flops) == (count, dense, 2 * count)
        assert [(layer.key, layer.rank) for layer in cost.layers] == list(at.items())


def test_above_break_even_a_layer_runs_multiplied_out():
    config = nested_config(SMALL, "mlp")
    (gate, *_), (gate_more, *_) = (decoder_cost(config, r).layers for r in (7, 8))
    assert (gate.form, gate.weights) == ("factors", 7 * 29) and 7 * 29 < 12 * 17 < 8 * 29
    assert (gate_more.form, gate_more.weights) == ("product", 12 * 17)
    full = decoder_cost(config, 12)
    assert full.weights == full.dense and full.share == 1.0  # these layers have no biases
    at_break_even, *_ = decoder_cost(nested_config(SMALL, "attention"), 6).layers
    assert (at_break_even.form, at_break_even.weights) == ("product", 12 * 12) and 6 * 24 == 12 * 12


@pytest.mark.parametrize("rank", [1, 5, 6, 7, 8, 12])
def test_the_report_says_how_layers_run(rank):
    """A decoder at one rank as evaluation, generation and export make it, rank 6 being break-even of some layers."""
    config = nested_config(SMALL, "mlp,attention")
    net = Decoder(config)
    plainer = multiplied_out(net, net.init(np.random.default_rng(0)), rank).net
    factors = {layer.key for layer in decoder_cost(config, rank).layers if layer.form == "factors"}
    assert {key for key, _ in plainer.config.nested} == factors


def test_the_largest_rank_within_a_share():
    config = nested_config(PYTHIA)
    for rank in (1, 2, 100, 2047):
        share = decoder_cost(config, rank).share
        assert rank_for_share(config, share) == rank
        assert rank_for_share(config, share + 1e-9) == rank
    assert rank_for_share(config, 1) == 2560  # from 2048 on all cost the same
    with pytest.raises(OptionError, match=r"share is 0\.1, expected at least 0\.366, the share at rank 1"):
        rank_for_share(config, 0.1)
    with pytest.raises(OptionError, match="expected at least a decoder with nested layers"):
        rank_for_share(SMALL, 1)


def test_ranks_are_checked():
    with pytest.raises(RankError, match=r"decoder_cost: rank is 13, expected an integer in 1\.\.12"):
        decoder_cost(nested_config(SMALL), 13)
