"""Gram matrices of layer inputs, against the inputs that the backward pass keeps."""

import numpy as np
import pytest

from nsn_ref.errors import DataError, LabelError, OptionError, ShapeError
from nsn_ref.nets.decoder import Decoder, DecoderConfig
from nsn_ref.ops.dense import DenseSaved
from nsn_ref.surgery.grams import InputGrams, input_name


def saved_inputs(saved):
    """The inputs (rows, d_in) of linear layers by the id of their weights, from anywhere inside a saved context."""
    if isinstance(saved, DenseSaved):
        return {id(saved.W): saved.x.reshape(-1, saved.x.shape[-1])}
    inside = saved if isinstance(saved, (tuple, list)) else ()
    return {key: x for each in inside for key, x in saved_inputs(each).items()}


def grams_of(decoder, params, tokens, folder, dtype=np.float64, keys=None):
    keys = decoder.config.linear_layers if keys is None else keys
    folder.mkdir(exist_ok=True)
    return InputGrams(decoder.config, keys, params.__getitem__, tokens, dtype, folder)


@pytest.mark.parametrize("pieces", [(5, 1, 1), (60, 100, 50), (10**6, 10**6, 10**6)])
def test_sum_of_outer_products_of_the_inputs(plain, tokens, tmp_path, monkeypatch, pieces):
    """In pieces of a few positions, queries and rows, of several sequences, and whole."""
    for name, size in zip(("TOKENS", "SCORES", "STRIPE"), pieces, strict=True):
        monkeypatch.setattr(f"nsn_ref.surgery.grams.{name}", size)
    decoder, params = plain
    inputs = saved_inputs(decoder.forward(params, tokens, 1)[1])
    grams = grams_of(decoder, params, tokens, tmp_path / "files")
    for key in decoder.config.linear_layers:
        x = inputs[id(params[f"{key}.W"])]
        assert len(x) == tokens.size
        gram = sum(np.outer(row, row) for row in x)
        assert np.abs(np.trace(gram) * grams[key] - gram).max() <= 1e-12 * np.abs(gram).max(), key


def test_local_attention_in_pieces(tokens, rng, tmp_path, monkeypatch):
    """A window of keys, learned positions, and a head that is a layer of its own."""
    decoder = Decoder(
        DecoderConfig(
            vocabulary=29, hidden=12, intermediate=17, blocks=2, heads=3, context=16, learned_positions=True,
            windows=(None, 5),
        )
    )  # fmt: skip
    params = {name: rng.standard_normal(shape) / 2 for name, shape in decoder.shapes().items()}
    test_sum_of_outer_products_of_the_inputs((decoder, params), tokens, tmp_path, monkeypatch, (13, 40, 24))


def test_only_what_is_asked_for_is_kept_and_only_of_one_block(plain, tokens, tmp_path):
    decoder, params = plain
    grams = grams_of(decoder, params, tokens, tmp_path, keys=["blocks.0.mlp.down", "blocks.1.mlp.down"])
    for key in ("blocks.0.mlp.down", "blocks.1.mlp.down"):
        assert grams[key].shape == (17, 17)
        assert sorted(path.name for path in tmp_path.iterdir()) == [key, "hidden"]


def test_float32_activations_are_summed_in_float64(plain, tokens, tmp_path):
    decoder, params = plain
    single = {name: value.astype(np.float32) for name, value in params.items()}
    grams = grams_of(decoder, single, tokens, tmp_path / "single", np.float32)
    double = grams_of(decoder, params, tokens, tmp_path / "double")
    for key in ("blocks.0.attention.q", "blocks.1.mlp.down"):
        found = grams[key]
        assert found.dtype == np.float32 and grams.recorder.grams[input_name(key)].dtype == np.float64
        assert np.abs(found - double[key]).max() <= 1e-4 * np.abs(found).max()


def test_layers_are_asked_for_in_order(plain, tokens, tmp_path):
    decoder, params = plain
    grams = grams_of(decoder, params, tokens, tmp_path)
    grams["blocks.1.mlp.up"]
    with pytest.raises(OptionError, match=r"blocks\.0\.mlp\.up is not behind the layers that were asked for"):
        grams["blocks.0.mlp.up"]


def test_inputs_that_are_zero_are_refused(plain, tokens, tmp_path):
    decoder, params = plain
    params = params | {name: 0 * p for name, p in params.items() if name.startswith("blocks.0.mlp.up.")}
    with pytest.raises(DataError, match=r"inputs of blocks\.0\.mlp\.down have squares that sum to 0"):
        grams_of(decoder, params, tokens, tmp_path)["blocks.0.mlp.down"]


def test_tokens_are_checked(plain, tmp_path):
    decoder, params = plain
    for tokens, error in ((np.full((2, 3), 29), LabelError), (np.zeros((2, 17), int), ShapeError)):
        with pytest.raises(error, match="adapt: tokens has"):
            grams_of(decoder, params, tokens, tmp_path)
