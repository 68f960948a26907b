"""Folders out: loaded by transformers, with the same logits; complete or not there."""

import dataclasses
import json
import os

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from nsn_ref.errors import FileError, NonFiniteError, OptionError, RankError
from nsn_ref.hf import read_model, write_model
from nsn_ref.nets.decoder import Decoder
from nsn_ref.surgery.factorise import factorise_svd

FAMILIES = ["gpt_neox", "qwen2", "gpt_neo", "gemma", "llama"]


def nest(decoder, params, R=None):
    """Every linear layer factorised by the plain SVD, all components or R of them."""
    nested, factors = [], {}
    layers = dict(decoder.config.linear_layers)
    for key in layers:
        A, B = factorise_svd(params[f"{key}.W"], R)
        factors |= {f"{key}.A": A, f"{key}.B": B}
        nested.append((key, len(A)))
    kept = {name: value for name, value in params.items() if f"{name.removesuffix('.W')}.A" not in factors}
    net = Decoder(dataclasses.replace(decoder.config, nested=tuple(nested)))
    return net, kept | factors | {"s": np.zeros(net.R)}


def logits(transformers, folder, dtype):
    import torch

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    tokens = torch.randint(0, 101, (2, 11), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model(tokens).logits.numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_read_is_written(tiny, transformers, tmp_path, family):
    """Bit for bit with the folder's own configuration; one made from ours may name the same GELU by another formula."""
    model = read_model(tiny(family))
    expected = logits(transformers, tiny(family), "float32")
    write_model(tmp_path / "a", *model, source=tiny(family))
    write_model(tmp_path / "b", *model, shard_bytes=10_000)
    assert (logits(transformers, tmp_path / "a", "float32") == expected).all()
    error = np.abs(logits(transformers, tmp_path / "b", "float32") - expected).max()
    assert error <= (1e-5 * np.abs(expected).max() if family == "gpt_neo" else 0)
    assert len(list((tmp_path / "b").glob("*.safetensors"))) > 1


@pytest.mark.parametrize("family", FAMILIES)
def test_full_rank_gives_the_original_logits_to_rounding(tiny, transformers, tmp_path, family):
    """Every projection factorised in float64 and multiplied out: its weights change by roundings, and so do the logits.

    A relative change of the weights of 1e-14 is not magnified a thousandfold by two blocks; some of its bits change.
    """
    decoder, params = read_model(tiny(family), np.float64)
    expected = logits(transformers, tiny(family), "float64")
    write_model(tmp_path / "full", *nest(decoder, params), source=tiny(family), dtype="float64")
    error = np.abs(logits(transformers, tmp_path / "full", "float64") - expected).max()
    assert error <= 1e-11 * np.abs(expected).max()


def test_a_rank_multiplies_out_its_prefix(plain, tmp_path):
    net, params = nest(*plain, R=5)
    for rank in (1, 3, 5, None):
        write_model(tmp_path / str(rank), net, params, rank, dtype="float64")
        tensors = safetensors.numpy.load_file(tmp_path / str(rank) / "model.safetensors")
        r = 5 if rank is None else rank
        A, B = (params[f"blocks.1.mlp.down.{name}"].astype(np.float64) for name in "AB")
        W = sum(np.outer(B[:, i], A[i]) for i in range(r))
        found = tensors["gpt_neox.layers.1.mlp.dense_4h_to_h.weight"]
        assert np.abs(found - W).max() <= 1e-14 * (np.abs(B) @ np.abs(A)).max()


def test_a_rank_for_each_layer(plain, tmp_path):
    net, params = nest(*plain)
    ranks = tuple(1 + i % layer.R for i, layer in enumerate(net.nested_layers))
    write_model(tmp_path / "out", net, params, ranks, dtype="float64")
    _, written = read_model(tmp_path / "out")
    for layer, r in zip(net.nested_layers, ranks, strict=True):
        assert np.linalg.matrix_rank(written[f"{layer.key}.W"]) == r


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_dtypes(plain, tmp_path, dtype):
    write_model(tmp_path / "out", *plain, dtype=dtype)
    fields = json.loads((tmp_path / "out" / "config.json").read_text())
    assert fields["dtype"] == fields["torch_dtype"] == dtype
    for value in safetensors.numpy.load_file(tmp_path / "out" / "model.safetensors").values():
        assert value.dtype == (ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype))


def test_the_tokenizer_goes_along(plain, folder, tmp_path):
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    (folder / "custom_code.py").write_text("raise SystemExit")
    write_model(tmp_path / "out", *plain, source=folder)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json"}


def test_complete_or_not_there(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)

    def fail(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.rename", fail)
    with pytest.raises(FileError, match="cannot be written: No space left"):
        write_model(tmp_path / "out", *plain)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("bad, dtype", [(np.nan, "float32"), (np.inf, "float64"), (1e5, "float16")])
def test_weights_that_the_file_could_not_hold(plain, tmp_path, bad, dtype):
    decoder, params = plain
    params["head.W"][3, 2] = bad
    with pytest.raises(NonFiniteError, match=rf"embed_out\.weight has NaN or infinity as {dtype}"):
        write_model(tmp_path / "out", decoder, params, dtype=dtype)
    assert not any(tmp_path.iterdir())


def test_refusals_write_nothing(plain, folder, tmp_path):
    net, params = nest(*plain, R=5)
    with pytest.raises(FileError, match="model: exists already, expected a new folder"):
        write_model(folder, *plain)
    with pytest.raises(RankError, match=r"write_model: rank is 6, expected an integer in 1\.\.5"):
        write_model(tmp_path / "out", net, params, 6)
    with pytest.raises(OptionError, match="write_model: dtype is 'int8'"):
        write_model(tmp_path / "out", net, params, dtype="int8")
    with pytest.raises(OptionError, match="shard_bytes is 0"):
        write_model(tmp_path / "out", net, params, shard_bytes=0)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
