"""The decoder's run, in its smoke form."""

import dataclasses

import numpy as np
import pytest

from nsn_ref.experiments.decoder import experiment
from nsn_ref.experiments.decoder.recipe import balanced, byte_decoder
from nsn_ref.experiments.text import load_text
from nsn_ref.nets.decoder import Decoder

SIZES = experiment.FORMS["smoke"]["sizes"]


@pytest.fixture(scope="module")
def result():
    return experiment.run(load_text(), experiment.FORMS["smoke"], 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", experiment.SURGERIES)
def test_all_components_are_the_plain_decoder(result, name):
    """Factors of float32 weights: their products miss them by a few units in the last place."""
    off = abs(result["models"][name]["truncated"][-1] - result["plain"])
    assert not off > 1e-5 * result["plain"]


@pytest.mark.slow
def test_training_and_fine_tuning_learn(result):
    assert result["plain, continued"] < result["plain"] < np.log(256)
    for model in result["models"].values():
        assert sum(model["fine-tuned"]) < sum(model["truncated"])


@pytest.mark.slow
def test_an_allocation_keeps_its_budget(result):
    shares = result["models"][experiment.ALLOCATED]["shares"]
    for share, budget in zip(result["allocation"]["shares"], shares, strict=False):
        assert share <= budget + 1e-12
    for less, more in zip(result["allocation"]["allocated"], result["allocation"]["allocated"][1:], strict=False):
        assert all(a <= b for a, b in zip(less, more, strict=True))


def test_balanced_factors_are_the_same_function(rng):
    plain = byte_decoder(**SIZES).config
    decoder = Decoder(dataclasses.replace(plain, nested=(("blocks.1.mlp.up", 7), ("blocks.0.attention.k", 5))))
    params = decoder.init(rng, np.float64)
    params["blocks.1.mlp.up.A"] *= 8.0
    tokens = rng.integers(0, 256, (2, 11))
    again = balanced(decoder, params)
    norms = [np.sqrt((again[f"blocks.1.mlp.up.{factor}"] ** 2).sum(axis=axis)) for factor, axis in (("A", 1), ("B", 0))]
    assert not np.max(np.abs(norms[0] / norms[1] - 1)) > 1e-14
    for rank in (1, 4, 7):
        z, other = (decoder.forward(p, tokens, rank)[0] for p in (params, again))
        assert not np.max(np.abs(z - other)) > 1e-12
