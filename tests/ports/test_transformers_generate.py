"""Greedy generation gives the tokens that transformers gives, with the cache and without, with padding on the left."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers_models import CASES, batch, pair  # noqa: E402

from nsn_ref.nets.decoder import generate  # noqa: E402

COUNT = 11


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("padding", [None, "left"])
def test_greedy_generation_is_theirs(rng, lifted, tmp_path, case, padding):
    model = pair(case, tmp_path, np.float64, scale=0.8)
    tokens, mask, _ = batch(rng, 3, 5, padding)
    theirs = model.model.generate(
        torch.from_numpy(tokens), attention_mask=torch.from_numpy(mask).long(), max_new_tokens=COUNT, do_sample=False
    ).numpy()  # fmt: skip
    assert theirs.shape == (3, 5 + COUNT)
    assert len(np.unique(theirs[:, 5:])) > 1
    for cached in (True, False):
        ours = generate(model.decoder, model.params, tokens, COUNT, mask=mask, cached=cached)
        assert (ours == theirs).all()
