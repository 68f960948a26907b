"""config.json in both spellings, back from our configuration, and what it must not say."""

import dataclasses
import json

import pytest

from nsn_ref.errors import FileError, OptionError
from nsn_ref.hf import read_config
from nsn_ref.hf.config import config_fields, decoder_config
from nsn_ref.hf.families import FAMILIES
from nsn_ref.nets.decoder import DecoderConfig

# As in the folders of Pythia-70M and Qwen2-0.5B, saved by versions of transformers before 5, without what is not read.
PYTHIA = {
    "architectures": ["GPTNeoXForCausalLM"], "hidden_act": "gelu", "hidden_size": 512, "intermediate_size": 2048,
    "layer_norm_eps": 1e-05, "max_position_embeddings": 2048, "model_type": "gpt_neox", "num_attention_heads": 8,
    "num_hidden_layers": 6, "rotary_emb_base": 10000, "rotary_pct": 0.25, "tie_word_embeddings": False,
    "torch_dtype": "float16", "use_parallel_residual": True, "vocab_size": 50304,
}  # fmt: skip
QWEN = {
    "architectures": ["Qwen2ForCausalLM"], "hidden_act": "silu", "hidden_size": 896, "intermediate_size": 4864,
    "max_position_embeddings": 131072, "max_window_layers": 24, "model_type": "qwen2", "num_attention_heads": 14,
    "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
    "sliding_window": 131072, "tie_word_embeddings": True, "torch_dtype": "bfloat16", "use_sliding_window": False,
    "vocab_size": 151936,
}  # fmt: skip


def test_the_older_spelling():
    pythia, qwen = decoder_config(PYTHIA), decoder_config(QWEN)
    assert (pythia.rotary, pythia.rotary_base, pythia.head_dim) == (16, 10000.0, 64)
    assert pythia.parallel and pythia.qkv_bias and pythia.out_bias and not pythia.tied and pythia.norm == "layer_norm"
    assert (qwen.rotary, qwen.rotary_base, qwen.head_dim, qwen.kv_heads) == (64, 1e6, 64, 2)
    assert qwen.tied and qwen.gated and qwen.qkv_bias and not (qwen.out_bias or qwen.mlp_bias or qwen.parallel)
    assert set(qwen.windows) == {None}


@pytest.mark.parametrize("old", [PYTHIA, QWEN])
def test_both_spellings_of_the_rotary_embedding_agree(old):
    new = {k: v for k, v in old.items() if k not in ("rotary_emb_base", "rotary_pct", "rope_theta")}
    base = old.get("rotary_emb_base", old.get("rope_theta"))
    new["rope_parameters"] = {"rope_type": "default", "rope_theta": base}
    if "rotary_pct" in old:
        new["rope_parameters"]["partial_rotary_factor"] = old["rotary_pct"]
    assert decoder_config(new) == decoder_config(old)


def test_windows_of_both_families():
    qwen = QWEN | {"use_sliding_window": True, "sliding_window": 99, "max_window_layers": 22}
    assert decoder_config(qwen).windows == (None,) * 22 + (99, 99)
    listed = qwen | {"layer_types": ["sliding_attention"] + ["full_attention"] * 23}
    assert decoder_config(listed).windows == (99,) + (None,) * 23
    neo = {
        "model_type": "gpt_neo", "activation_function": "gelu_new", "hidden_size": 24, "num_layers": 3, "num_heads": 2,
        "vocab_size": 11, "max_position_embeddings": 7, "attention_types": [[["global"], 1], [["local"], 2]],
        "window_size": 4,
    }  # fmt: skip
    config = decoder_config(neo)
    assert config.windows == (None, 4, 4) and config.attention_scale == 1.0 and config.learned_positions
    assert config.intermediate == 96 and config.activation == "gelu_tanh" and config.rotary == 0


def test_gemma():
    gemma = QWEN | {"model_type": "gemma", "hidden_act": "gelu", "head_dim": 256}
    config = decoder_config({k: v for k, v in gemma.items() if k != "tie_word_embeddings"})
    assert config.activation == "gelu_tanh"  # the name in the released files means the approximation
    assert config.norm_offset == 1 and config.embedding_scale == 896**0.5 and config.tied and config.head_dim == 256


CONFIGS = {
    "gpt_neox": decoder_config(PYTHIA | {"rotary_pct": 0.3125}),  # 20 of 64
    "qwen2": decoder_config(QWEN | {"use_sliding_window": True, "sliding_window": 99, "max_window_layers": 22}),
    "llama": decoder_config(QWEN | {"model_type": "llama", "mlp_bias": True}),
    "gemma": decoder_config(QWEN | {"model_type": "gemma"}),
    "gpt_neo": DecoderConfig(
        vocabulary=11, hidden=24, intermediate=40, blocks=2, heads=3, context=7, activation="gelu_tanh",
        qkv_bias=False, attention_scale=1.0, windows=(None, 5), learned_positions=True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_back_to_json(family):
    fields = config_fields(CONFIGS[family])
    assert fields["model_type"] == family
    assert decoder_config(json.loads(json.dumps(fields))) == CONFIGS[family]


@pytest.mark.parametrize("head_dim", [6, 10, 14, 22, 26, 82, 94, 106])
def test_every_share_of_rotated_dimensions_comes_back(head_dim):
    for rotary in range(2, head_dim + 1, 2):
        config = dataclasses.replace(CONFIGS["gpt_neox"], hidden=8 * head_dim, head_dim=head_dim, rotary=rotary)
        assert decoder_config(config_fields(config)).rotary == rotary


def test_transformers_reads_what_is_written(transformers):
    """Their configuration, built from our fields, says the same as ours, in their spelling."""
    for family, config in CONFIGS.items():
        fields = config_fields(config)
        theirs = transformers.AutoConfig.for_model(**fields)
        assert decoder_config(theirs.to_dict()) == config, family


def test_a_decoder_of_no_family():
    with pytest.raises(OptionError, match=r"config_fields: no family of gpt_neox, .* has all properties of"):
        config_fields(dataclasses.replace(CONFIGS["gpt_neox"], head_bias=True))


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"model_type": "mamba"}, OptionError, "model_type is 'mamba', expected one of 'gpt_neox', 'qwen2'"),
        ({"model_type": None}, OptionError, "model_type is None"),
        ({"hidden_size": None}, FileError, "has no 'hidden_size', expected a value of type int"),
        ({"hidden_size": "512"}, OptionError, "hidden_size is '512', expected an integer of at least 1"),
        ({"num_hidden_layers": 0}, OptionError, "num_hidden_layers is 0"),
        ({"num_attention_heads": True}, OptionError, "num_attention_heads is True"),
        ({"use_parallel_residual": 1}, OptionError, "use_parallel_residual is 1, expected a value of type bool"),
        ({"hidden_act": "relu"}, OptionError, "hidden_act is 'relu', expected one of 'gelu'"),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, OptionError, "rope_parameters is .*'linear'"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1.0}}}, OptionError, "expected one rotary embedding"),
        ({"rotary_pct": 0.33}, OptionError, "rotary_pct is 0.33, which rotates 21 of 64 dimensions, expected an even"),
        ({"rotary_pct": 1.5}, OptionError, "which rotates 96 of 64"),
        ({"rotary_emb_base": 0}, OptionError, "rotary_emb_base is 0, expected a number > 0"),
        ({"num_attention_heads": 7}, OptionError, "heads is 7"),
        ({"quantization_config": {"bits": 4}}, OptionError, "quantization_config is .* not supported"),
    ],
)
def test_refusals_name_the_key(tmp_path, change, error, message):
    (tmp_path / "config.json").write_text(json.dumps(PYTHIA | change))
    with pytest.raises(error, match=message):
        read_config(tmp_path)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"partial_rotary_factor": 0.5},
            "partial_rotary_factor is 0.5, which rotates 32 of 64 .* expected all of them",
        ),
        ({"layer_types": ["full_attention"]}, "layer_types gives the blocks .* expected 24 of"),
        ({"use_sliding_window": True, "sliding_window": 0, "max_window_layers": 0}, "the window is 0"),
        ({"layer_types": 3}, "layer_types is 3, expected the kind of each block"),
        (
            {"use_sliding_window": True, "max_window_layers": "x"},
            "layer_types is None, expected the kind of each block",
        ),
        (
            {
                "model_type": "gpt_neo",
                "num_layers": 2,
                "num_heads": 2,
                "activation_function": "gelu",
                "attention_types": [3],
            },
            r"attention_types is \[3\], expected the kind of each block",
        ),
    ],
)
def test_refusals_of_qwen2(change, message):
    with pytest.raises(OptionError, match=message):
        decoder_config(QWEN | change)


def test_no_configuration(tmp_path):
    with pytest.raises(FileError, match=r"config\.json: cannot be read"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(FileError, match=r"config\.json: holds a list, expected an object"):
        read_config(tmp_path)
