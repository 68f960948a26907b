"""Tiny decoders that differ in every option, and bounds on their rounding errors."""

import numpy as np

from nsn_ref.certify import rounding
from nsn_ref.nets.decoder import Decoder, DecoderConfig

SIZES = {"vocabulary": 7, "hidden": 6, "intermediate": 5, "blocks": 2, "heads": 3, "context": 11}
NESTED = (("blocks.0.mlp.up", 4), ("blocks.0.mlp.down", 7), ("blocks.1.attention.q", 3), ("blocks.1.attention.o", 5))
GATED = {"gated": True, "norm": "rms_norm", "eps": 1e-6, "out_bias": False, "mlp_bias": False, "kv_heads": 1}

# name: what it has beside the sizes, in the manner of a family
OPTIONS = {
    "gpt_neox": {"rotary": 2, "parallel": True, "nested": NESTED},
    "qwen2": GATED | {
        "rotary": 2, "activation": "silu",
        "nested": (("blocks.0.attention.k", 2), ("blocks.1.mlp.gate", 5), ("head", 6)),
    },
    "gpt_neo": {
        "learned_positions": True, "windows": (None, 2), "attention_scale": 1.0, "qkv_bias": False,
        "activation": "gelu_tanh", "tied": True, "head_bias": True, "nested": NESTED,
    },
    "gemma": GATED | {
        "rotary": 4, "head_dim": 5, "activation": "gelu_tanh", "norm_offset": 1.0, "embedding_scale": 6**0.5,
        "tied": True, "qkv_bias": False, "nested": (("blocks.1.mlp.down", 4),),
    },
    "gated exact gelu": GATED | {"rotary": 2, "nested": (("blocks.0.mlp.up", 3), ("blocks.0.mlp.gate", 5))},
}  # fmt: skip


def decoder(name, **changes):
    """One of `OPTIONS`."""
    return Decoder(DecoderConfig(**SIZES | OPTIONS[name] | changes))


def tokens_of(rng, net, n=2, T=3):
    """Random tokens."""
    return rng.integers(0, net.config.vocabulary, (n, T))


def rounded_params(params):
    """Parameters whose numbers carry bounds on rounding errors."""
    return {name: rounding.rounded(value) for name, value in params.items()}


def assert_equal_to_rounding(a, b, evaluated):
    """Two float64 evaluations of one formula, of which `evaluated` over `certify.rounding` bounds the error."""
    assert a.shape == b.shape == evaluated.shape
    assert (np.abs(a - b) <= 2 * rounding.errors(evaluated)).all()
