"""The layers of a decoder, from its configuration."""

from nsn_ref.nets.decoder.attention import Attention
from nsn_ref.nets.decoder.composites import Fan, Residual, Series
from nsn_ref.nets.decoder.embedding import Embedding, TiedHead
from nsn_ref.nets.decoder.gate import Gate
from nsn_ref.nets.decoder.norm import Norm
from nsn_ref.nets.layers import Activation, Dense, NestedLinear


def decoder_layers(config, sequences=None):
    """The chain: embedding, blocks, norm, head.

    Parameters
    ----------
    config : DecoderConfig
    sequences : Sequences, optional
        What they will run on; without it they cannot run.

    Returns
    -------
    tuple of Layer
    """
    positions = config.context if config.learned_positions else 0
    embedding = Embedding(config.vocabulary, config.hidden, config.embedding_scale, positions, sequences)
    blocks = [layer for i in range(config.blocks) for layer in _block(config, i, sequences)]
    head = TiedHead("head", config.vocabulary, config.head_bias) if config.tied else _linear(config, "head", 1)
    return (embedding, *blocks, _norm(config, "norm"), head)


def _block(config, i, sequences):
    """Attention and MLP, each behind its norm and added to what it reads; in parallel they read the same."""
    key = f"blocks.{i}"
    attention = Series((_norm(config, f"{key}.norm1"), *_attention(config, i, sequences)))
    mlp = Series((_norm(config, f"{key}.norm2"), *_mlp(config, f"{key}.mlp")))
    return (Residual((attention, mlp)),) if config.parallel else (Residual((attention,)), Residual((mlp,)))


def _attention(config, i, sequences):
    key = f"blocks.{i}.attention"
    core = Attention(i, config.head_dim, config.rotary > 0, config.attention_scale, config.windows[i], sequences)
    inputs = tuple(_linear(config, f"{key}.{name}", 1) for name in "qkv")
    return Fan(inputs, core), _linear(config, f"{key}.o", _share(config))


def _mlp(config, key):
    down = _linear(config, f"{key}.down", _share(config))
    if config.gated:
        inputs = _linear(config, f"{key}.gate", 2), _linear(config, f"{key}.up", 1)
        return Fan(inputs, Gate(config.activation)), down
    return _linear(config, f"{key}.up", 2), Activation(config.activation), down


def _share(config):
    """Gain of what is added to the residual stream: twice for each block, together 1."""
    return 1 / (2 * config.blocks)


def _norm(config, key):
    return Norm(key, config.norm, config.hidden, config.norm_offset, config.eps)


def _linear(config, key, gain):
    """A linear layer, nested if the configuration says so."""
    d_in, d_out, bias = config.linear_layers[key]
    R = dict(config.nested).get(key)
    if R is None:
        return Dense(key, d_in, d_out, gain, bias)
    return NestedLinear(key, d_in, d_out, R, gain, bias)
