"""A folder of transformers, adapted, exported at full rank, loaded by transformers again."""

import numpy as np
import pytest

from nsn_ref.hf import write_model
from nsn_ref.surgery.adapt import adapt
from nsn_ref.surgery.folder import open_model


@pytest.fixture
def logits(transformers):
    """A function of a folder that gives the logits of transformers in float64."""
    import torch

    def of(folder):
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
        tokens = torch.randint(0, 101, (2, 11), generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            return model(tokens).logits.numpy()

    return of


@pytest.mark.parametrize("family", ["gpt_neox", "qwen2", "gpt_neo", "gemma", "llama"])
@pytest.mark.parametrize("whitened", [False, True])
def test_full_rank_gives_the_original_logits_to_rounding(tiny, logits, tmp_path, rng, family, whitened):
    """Every linear layer factorised; factors of float32 weights are float32, so each weight changes by its rounding.

    The inverse root of a Gram matrix in float32 magnifies that by up to 1 / sqrt(40 2^-23), 450, where inputs hardly
    vary.
    """
    tokens = rng.integers(0, 101, (8, 40)) if whitened else None
    adapt(tiny(family), tmp_path / "nsn", layers="all", tokens=tokens)
    nested = open_model(tmp_path / "nsn")
    write_model(tmp_path / "full", nested.decoder, nested.params, source=tmp_path / "nsn", dtype="float64")
    expected, found = logits(tiny(family)), logits(tmp_path / "full")
    assert np.abs(found - expected).max() <= (1e-3 if whitened else 1e-5) * np.abs(expected).max()
    write_model(tmp_path / "one", nested.decoder, nested.params, 1, source=tmp_path / "nsn")
    assert np.abs(logits(tmp_path / "one") - expected).max() > 1e-2 * np.abs(expected).max()
