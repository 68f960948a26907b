"""Model folders: small random ones of every family, written by transformers, and one written by us."""

import numpy as np
import pytest

from nsn_ref.hf import write_model
from nsn_ref.nets.decoder import Decoder, DecoderConfig

SIZES = {
    "vocab_size": 101,
    "hidden_size": 24,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": None,
}
FAMILIES = {
    "gpt_neox": {"num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40},
    "qwen2": {
        "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 40,
        "tie_word_embeddings": True,
    },
    "gpt_neo": {
        "num_layers": 2, "num_heads": 3, "intermediate_size": 40, "attention_types": [[["global", "local"], 1]],
        "window_size": 5,
    },
    "gemma": {
        "num_hidden_layers": 2, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 10,
        "intermediate_size": 40,
    },
    "llama": {
        "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 3, "intermediate_size": 40,
        "attention_bias": True,
    },
}  # fmt: skip


@pytest.fixture(scope="session")
def transformers():
    """The package, quiet."""
    package = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    package.logging.set_verbosity_error()
    package.logging.disable_progress_bar()
    return package


@pytest.fixture(scope="session")
def tiny(transformers, tmp_path_factory):
    """A function of a family that gives a folder with a small random model, weights all non-zero."""
    import torch

    made = {}

    def folder(family):
        if family not in made:
            config = transformers.AutoConfig.for_model(family, **SIZES | FAMILIES[family])
            model = transformers.AutoModelForCausalLM.from_config(config)
            generator = torch.Generator().manual_seed(3)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) / 4)
            made[family] = tmp_path_factory.mktemp("hf") / family
            model.save_pretrained(made[family])
        return made[family]

    return folder


@pytest.fixture
def plain(rng):
    """A decoder in the manner of GPT-NeoX, and its parameters."""
    config = DecoderConfig(
        vocabulary=29, hidden=12, intermediate=17, blocks=2, heads=3, context=16, rotary=2, parallel=True
    )
    decoder = Decoder(config)
    params = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in decoder.shapes().items()}
    return decoder, params


@pytest.fixture
def folder(plain, tmp_path):
    """That decoder as a Hugging Face folder."""
    write_model(tmp_path / "model", *plain)
    return tmp_path / "model"
