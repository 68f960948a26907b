"""Gram matrices of layer inputs, against the inputs that the backward pass keeps."""

import numpy as np
import pytest

from nsn_ref.errors import LabelError, OptionError, ShapeError
from nsn_ref.ops.dense import DenseSaved
from nsn_ref.surgery.grams import InputGrams


def saved_inputs(saved):
    """The inputs (rows, d_in) of linear layers by the id of their weights, from anywhere inside a saved context."""
    if isinstance(saved, DenseSaved):
        return {id(saved.W): saved.x.reshape(-1, saved.x.shape[-1])}
    inside = saved if isinstance(saved, (tuple, list)) else ()
    return {key: x for each in inside for key, x in saved_inputs(each).items()}


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_sum_of_outer_products_of_the_inputs(plain, tokens, monkeypatch, batch):
    monkeypatch.setattr("nsn_ref.surgery.grams.BATCH", batch)
    decoder, params = plain
    inputs = saved_inputs(decoder.forward(params, tokens, 1)[1])
    grams = InputGrams(decoder.config, params.__getitem__, tokens, np.float64)
    for key in decoder.config.linear_layers:
        x = inputs[id(params[f"{key}.W"])]
        assert len(x) == tokens.size
        gram = sum(np.outer(row, row) for row in x)
        assert np.abs(grams[key] - gram).max() <= 1e-12 * np.abs(gram).max(), key


def test_float32_activations_are_summed_in_float64(plain, tokens):
    decoder, params = plain
    single = {name: value.astype(np.float32) for name, value in params.items()}
    grams = InputGrams(decoder.config, single.__getitem__, tokens, np.float32)
    double = InputGrams(decoder.config, params.__getitem__, tokens, np.float64)
    for key in ("blocks.0.attention.q", "blocks.1.mlp.down"):
        assert grams[key].dtype == np.float64
        assert np.abs(grams[key] - double[key]).max() <= 1e-4 * np.abs(double[key]).max()


def test_layers_are_asked_for_in_order(plain, tokens):
    decoder, params = plain
    grams = InputGrams(decoder.config, params.__getitem__, tokens, np.float64)
    grams["blocks.1.mlp.up"]
    with pytest.raises(OptionError, match=r"blocks\.0\.mlp\.up is not behind the layers that were asked for"):
        grams["blocks.0.mlp.up"]


def test_tokens_are_checked(plain):
    decoder, params = plain
    for tokens, error in ((np.full((2, 3), 29), LabelError), (np.zeros((2, 17), int), ShapeError)):
        with pytest.raises(error, match="adapt: tokens has"):
            InputGrams(decoder.config, params.__getitem__, tokens, np.float64)
