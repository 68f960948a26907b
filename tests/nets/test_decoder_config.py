"""What a configuration accepts, fills in and refuses."""

import pytest
from decoders import SIZES, decoder

from nsn_ref.errors import OptionError
from nsn_ref.nets.decoder import DecoderConfig


def test_what_is_left_out_is_filled_in():
    config = DecoderConfig(**SIZES)
    assert (config.kv_heads, config.head_dim, config.windows, config.nested) == (3, 2, (None, None), ())


def test_linear_layers_in_the_order_of_the_pass():
    config = decoder("qwen2", blocks=1, nested=()).config
    assert config.linear_layers == {
        "blocks.0.attention.q": (6, 6, True),
        "blocks.0.attention.k": (6, 2, True),
        "blocks.0.attention.v": (6, 2, True),
        "blocks.0.attention.o": (6, 6, False),
        "blocks.0.mlp.gate": (6, 5, False),
        "blocks.0.mlp.up": (6, 5, False),
        "blocks.0.mlp.down": (5, 6, False),
        "head": (6, 7, False),
    }
    assert "head" not in decoder("gemma").config.linear_layers  # it is the embedding


@pytest.mark.parametrize("name", ["gpt_neox", "qwen2", "gpt_neo", "gemma"])
def test_shapes_are_those_of_the_linear_layers_and_the_rest(name):
    net = decoder(name)
    config, shapes, nested = net.config, net.shapes(), dict(net.config.nested)
    linear = {}
    for key, (d_in, d_out, bias) in config.linear_layers.items():
        R = nested.get(key)
        linear |= {f"{key}.W": (d_out, d_in)} if R is None else {f"{key}.A": (R, d_in), f"{key}.B": (d_out, R)}
        linear |= {f"{key}.b": (d_out,)} if bias else {}
    norms = [key for i in range(2) for key in (f"blocks.{i}.norm1", f"blocks.{i}.norm2")] + ["norm"]
    leaves = ("w", "b") if config.norm == "layer_norm" else ("w",)
    rest = {f"{key}.{leaf}": (6,) for key in norms for leaf in leaves}
    rest |= {"embedding.E": (7, 6), "s": (net.R,)}
    rest |= {"positions.E": (11, 6), "head.b": (7,)} if name == "gpt_neo" else {}
    assert shapes == linear | rest
    assert "s" not in decoder(name, nested=()).shapes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 0}, "hidden is 0, expected an integer of at least 1"),
        ({"heads": 4}, "heads is 4, expected a divisor of hidden = 6, or head_dim"),
        ({"kv_heads": 2}, "kv_heads is 2, expected a divisor of 3"),
        ({"rotary": 1}, "rotary is 1, expected an even number"),
        ({"rotary": 4}, r"rotary is 4, expected an integer in 0\.\.2"),
        ({"activation": "relu"}, "activation is 'relu', expected one of 'gelu', 'gelu_tanh', 'silu'"),
        ({"norm": "batch_norm"}, "norm is 'batch_norm', expected one of 'layer_norm', 'rms_norm'"),
        ({"tied": "yes"}, "tied is 'yes', expected one of False, True"),
        ({"eps": 0.0}, r"eps is 0\.0, expected a number in \(0"),
        ({"windows": (3,)}, r"windows is \(3,\), expected one for each of 2 blocks"),
        ({"windows": (3, 0)}, r"windows\[1\] is 0, expected an integer of at least 1"),
        ({"nested": ("head",)}, r"nested is \('head',\), expected pairs \(key, R\) with distinct keys"),
        ({"nested": (("head", 2), ("head", 3))}, r"nested is \(\('head', 2\), \('head', 3\)\), expected pairs"),
        ({"nested": (("head", 0),)}, r"nested\['head'\] is 0, expected an integer of at least 1"),
        ({"nested": (("mlp", 2),)}, "nested is 'mlp', expected one of 'blocks.0.attention.q'"),
        ({"nested": (("head", 2),), "tied": True}, "nested is 'head', expected one of"),
    ],
)
def test_bad_options_are_named(changes, message):
    with pytest.raises(OptionError, match=f"^DecoderConfig: {message}"):
        DecoderConfig(**SIZES | changes)
