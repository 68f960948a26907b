"""A small decoder of each of two kinds as a Hugging Face folder, written by us, and tokens for it."""

import pytest

from nsn_ref.hf import write_model
from nsn_ref.nets.decoder import Decoder, DecoderConfig

CONFIGS = {
    "gpt_neox": DecoderConfig(
        vocabulary=29, hidden=12, intermediate=17, blocks=2, heads=3, context=16, rotary=2, parallel=True
    ),
    "qwen2": DecoderConfig(
        vocabulary=29, hidden=12, intermediate=17, blocks=2, heads=6, kv_heads=2, context=16, rotary=2, gated=True,
        norm="rms_norm", eps=1e-6, activation="silu", out_bias=False, mlp_bias=False, tied=True,
    ),
}  # fmt: skip


@pytest.fixture(params=CONFIGS)
def plain(request, rng):
    """A plain decoder and its parameters, float64, none of them zero."""
    decoder = Decoder(CONFIGS[request.param])
    return decoder, {name: rng.standard_normal(shape) / 2 for name, shape in decoder.shapes().items()}


@pytest.fixture
def folder(plain, tmp_path):
    """That decoder as a Hugging Face folder in float64."""
    write_model(tmp_path / "model", *plain, dtype="float64")
    return tmp_path / "model"


@pytest.fixture
def tokens(rng):
    """Calibration sequences."""
    return rng.integers(0, 29, (11, 13))
