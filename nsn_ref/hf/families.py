"""What tells one family of decoders from another in a folder: keys of config.json and names of tensors, as data.

A new family that is a configuration of the decoder is one more entry of `FAMILIES`.
"""

from typing import NamedTuple

REQUIRED = object()  # in place of a default


class Key(NamedTuple):
    """A key of config.json."""

    name: str
    kind: type
    default: object = REQUIRED  # what transformers takes where the key is absent or null


class Rotary(NamedTuple):
    """Keys of the rotary embedding in the older spelling; the newer one has them under ``rope_parameters``."""

    base: str
    share: str  # key of the share of a head's dimensions that is rotated
    default_share: float
    partial: bool  # whether any other share is allowed


class Family(NamedTuple):
    """One value of ``model_type``."""

    architecture: str
    keys: dict  # field of DecoderConfig: Key
    fixed: dict  # field of DecoderConfig: what the architecture fixes it to
    modules: dict  # module of ours: module of theirs; {} stands for the number of a block
    activation: str = "hidden_act"
    gelu: str = "gelu"  # the activation that is meant by "gelu"
    rotary: Rotary | None = Rotary("rope_theta", "partial_rotary_factor", 1.0, False)
    windows: str | None = None  # how windows are spelled: see `nsn_ref.hf.windows`
    scaled_embedding: bool = False  # embeddings times sqrt(hidden)
    fused: str | None = None  # their module of query, key and value in one, rows (heads, 3, head_dim)
    ignored: tuple = ()  # tensors that older versions saved and none needs


_SIZES = {
    "vocabulary": Key("vocab_size", int),
    "hidden": Key("hidden_size", int),
    "intermediate": Key("intermediate_size", int),
    "blocks": Key("num_hidden_layers", int),
    "heads": Key("num_attention_heads", int),
    "context": Key("max_position_embeddings", int),
}
_GROUPED = _SIZES | {
    "kv_heads": Key("num_key_value_heads", int, None),
    "head_dim": Key("head_dim", int, None),
    "eps": Key("rms_norm_eps", float, 1e-6),
    "tied": Key("tie_word_embeddings", bool, False),
}
_RMS_GATED = {"norm": "rms_norm", "gated": True, "parallel": False, "head_bias": False}
_LAYER_NORM = {"norm": "layer_norm", "gated": False, "head_bias": False, "mlp_bias": True}
_LLAMA_MODULES = {
    "embedding": "model.embed_tokens",
    "blocks.{}.norm1": "model.layers.{}.input_layernorm",
    "blocks.{}.attention.q": "model.layers.{}.self_attn.q_proj",
    "blocks.{}.attention.k": "model.layers.{}.self_attn.k_proj",
    "blocks.{}.attention.v": "model.layers.{}.self_attn.v_proj",
    "blocks.{}.attention.o": "model.layers.{}.self_attn.o_proj",
    "blocks.{}.norm2": "model.layers.{}.post_attention_layernorm",
    "blocks.{}.mlp.gate": "model.layers.{}.mlp.gate_proj",
    "blocks.{}.mlp.up": "model.layers.{}.mlp.up_proj",
    "blocks.{}.mlp.down": "model.layers.{}.mlp.down_proj",
    "norm": "model.norm",
    "head": "lm_head",
}
_ATTENTION_BIAS = Key("attention_bias", bool, False)

FAMILIES = {
    "gpt_neox": Family(
        architecture="GPTNeoXForCausalLM",
        keys=_SIZES
        | {
            "eps": Key("layer_norm_eps", float, 1e-5),
            "parallel": Key("use_parallel_residual", bool, True),
            "qkv_bias": Key("attention_bias", bool, True),
            "out_bias": Key("attention_bias", bool, True),
            "tied": Key("tie_word_embeddings", bool, False),
        },
        fixed=_LAYER_NORM,
        modules={
            "embedding": "gpt_neox.embed_in",
            "blocks.{}.norm1": "gpt_neox.layers.{}.input_layernorm",
            "blocks.{}.attention.o": "gpt_neox.layers.{}.attention.dense",
            "blocks.{}.norm2": "gpt_neox.layers.{}.post_attention_layernorm",
            "blocks.{}.mlp.up": "gpt_neox.layers.{}.mlp.dense_h_to_4h",
            "blocks.{}.mlp.down": "gpt_neox.layers.{}.mlp.dense_4h_to_h",
            "norm": "gpt_neox.final_layer_norm",
            "head": "embed_out",
        },
        rotary=Rotary("rotary_emb_base", "rotary_pct", 0.25, True),
        fused="gpt_neox.layers.{}.attention.query_key_value",
        ignored=("*.rotary_emb.inv_freq", "*.attention.bias", "*.attention.masked_bias"),
    ),
    "qwen2": Family(
        architecture="Qwen2ForCausalLM",
        keys=_GROUPED,
        fixed=_RMS_GATED | {"qkv_bias": True, "out_bias": False, "mlp_bias": False},
        modules=_LLAMA_MODULES,
        windows="layer_types",
        ignored=("*.rotary_emb.inv_freq",),
    ),
    "llama": Family(
        architecture="LlamaForCausalLM",
        keys=_GROUPED
        | {"qkv_bias": _ATTENTION_BIAS, "out_bias": _ATTENTION_BIAS, "mlp_bias": Key("mlp_bias", bool, False)},
        fixed=_RMS_GATED,
        modules=_LLAMA_MODULES,
        ignored=("*.rotary_emb.inv_freq",),
    ),
    "gemma": Family(
        architecture="GemmaForCausalLM",
        keys=_GROUPED
        | {
            "head_dim": Key("head_dim", int, 256),
            "tied": Key("tie_word_embeddings", bool, True),
            "qkv_bias": _ATTENTION_BIAS,
            "out_bias": _ATTENTION_BIAS,
        },
        fixed=_RMS_GATED | {"norm_offset": 1, "mlp_bias": False},
        modules=_LLAMA_MODULES,
        gelu="gelu_tanh",
        scaled_embedding=True,
        ignored=("*.rotary_emb.inv_freq",),
    ),
    "gpt_neo": Family(
        architecture="GPTNeoForCausalLM",
        keys=_SIZES
        | {
            "intermediate": Key("intermediate_size", int, None),  # None: 4 hidden
            "blocks": Key("num_layers", int),
            "heads": Key("num_heads", int),
            "eps": Key("layer_norm_epsilon", float, 1e-5),
            "tied": Key("tie_word_embeddings", bool, True),
        },
        fixed=_LAYER_NORM
        | {
            "parallel": False,
            "qkv_bias": False,
            "out_bias": True,
            "attention_scale": 1.0,
            "learned_positions": True,
        },
        modules={
            "embedding": "transformer.wte",
            "positions": "transformer.wpe",
            "blocks.{}.norm1": "transformer.h.{}.ln_1",
            "blocks.{}.attention.q": "transformer.h.{}.attn.attention.q_proj",
            "blocks.{}.attention.k": "transformer.h.{}.attn.attention.k_proj",
            "blocks.{}.attention.v": "transformer.h.{}.attn.attention.v_proj",
            "blocks.{}.attention.o": "transformer.h.{}.attn.attention.out_proj",
            "blocks.{}.norm2": "transformer.h.{}.ln_2",
            "blocks.{}.mlp.up": "transformer.h.{}.mlp.c_fc",
            "blocks.{}.mlp.down": "transformer.h.{}.mlp.c_proj",
            "norm": "transformer.ln_f",
            "head": "lm_head",
        },
        activation="activation_function",
        rotary=None,
        windows="attention_types",
        ignored=("*.attn.attention.bias", "*.attn.attention.masked_bias"),
    ),
}
