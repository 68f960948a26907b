"""From a plain folder to a nested one: the same function at full rank, the layer's best below it."""

import json
import os

import numpy as np
import pytest
import safetensors.numpy

from nsn_ref.errors import FileError, NonFiniteError, OptionError, RankError
from nsn_ref.files import sha256_of_file
from nsn_ref.hf import read_model, write_model
from nsn_ref.nets.decoder import Decoder
from nsn_ref.surgery.adapt import adapt
from nsn_ref.surgery.factorise import factorise_svd
from nsn_ref.surgery.folder import open_model, write_nested
from nsn_ref.surgery.grams import InputGrams


@pytest.mark.parametrize("layers", ["mlp", "attention", "all"])
@pytest.mark.parametrize("whitened", [False, True])
def test_full_rank_is_the_same_function(plain, folder, tokens, tmp_path, layers, whitened):
    decoder, params = plain
    adapt(folder, tmp_path / "nsn", layers=layers, tokens=tokens if whitened else None)
    model = open_model(tmp_path / "nsn")
    expected, _ = decoder.forward(params, tokens, 1)
    logits, _ = model.decoder.forward(model.params, tokens, model.decoder.R)
    assert len(model.decoder.nested_layers) >= 4 and logits.dtype == np.float64
    assert np.abs(logits - expected).max() <= 1e-9 * np.abs(expected).max()  # an inverse root magnifies roundings


def test_every_layer_has_its_own_factors(plain, folder, tmp_path):
    _, params = plain
    facts = adapt(folder, tmp_path / "nsn", layers="mlp,attention", ranks=2)
    model = open_model(tmp_path / "nsn")
    for layer in model.decoder.nested_layers:
        A, B = factorise_svd(params[f"{layer.key}.W"], 2)
        assert (model.params[f"{layer.key}.A"] == A).all() and (model.params[f"{layer.key}.B"] == B).all()
        s = np.linalg.svd(params[f"{layer.key}.W"], compute_uv=False)
        assert abs(facts["layers"][layer.key]["error"] - np.linalg.norm(s[2:]) / np.linalg.norm(s)) <= 1e-12
    for name, value in params.items():
        if not name.endswith(".W") or name == "head.W":
            assert (model.params[name] == value).all(), name
    assert (model.params["s"] == 0).all() and model.params["s"].shape == (2,)


def test_whitened_factors_have_the_smaller_output_error(plain, folder, tokens, tmp_path):
    """Of every layer of the first block, on the calibration tokens themselves, at the reported ranks."""
    reports = {}
    for name, calibration in (("plain", None), ("whitened", tokens)):
        adapt(folder, tmp_path / name, layers="blocks.0.*", ranks=3, tokens=calibration)
        reports[name] = open_model(tmp_path / name)
    decoder, params = plain
    layer = "blocks.0.attention.q"
    outputs = {}
    for name, model in reports.items():
        W = model.params[f"{layer}.B"] @ model.params[f"{layer}.A"]
        x = normed_embeddings(decoder, params, tokens)
        outputs[name] = np.linalg.norm(x @ (params[f"{layer}.W"] - W).T) / np.linalg.norm(x @ params[f"{layer}.W"].T)
    assert abs(reports["whitened"].facts["layers"][layer]["error"] / outputs["whitened"] - 1) <= 1e-6
    assert outputs["whitened"] < 0.99 * outputs["plain"]


def normed_embeddings(decoder, params, tokens):
    """What attention of the first block reads, by the formula of its norm."""
    x = params["embedding.E"][tokens.ravel()]
    if decoder.config.norm == "layer_norm":
        x = x - x.mean(axis=1, keepdims=True)
    x = x / np.sqrt((x * x).mean(axis=1, keepdims=True) + decoder.config.eps) * params["blocks.0.norm1.w"]
    return x + params.get("blocks.0.norm1.b", 0.0)


@pytest.mark.parametrize("whitened", [False, True])
def test_by_energy(folder, tokens, tmp_path, whitened):
    """Every layer has the share of energy that was asked for, and would not have it with one component less."""
    facts = adapt(folder, tmp_path / "nsn", ranks="energy=0.9", tokens=tokens if whitened else None)
    assert len({report["R"] for report in facts["layers"].values()}) > 1
    for report in facts["layers"].values():
        assert report["error"] ** 2 <= 0.1 + 1e-12
        if report["R"] > 1:
            assert report["ranks"][-2] == report["R"] - 1 and report["errors"][-2] ** 2 > 0.1


def test_calibration_runs_once(folder, tokens, tmp_path, monkeypatch):
    """Also where the number of components depends on what it finds."""
    ran, run = [], InputGrams._run

    def counted(self, layer, inputs):
        ran.append(layer)
        run(self, layer, inputs)

    monkeypatch.setattr(InputGrams, "_run", counted)
    adapt(folder, tmp_path / "nsn", layers="blocks.*", ranks="energy=0.9", tokens=tokens)
    assert len(ran) == len(open_model(folder).decoder.layers) - 2  # all but the last norm and the head


def test_provenance(folder, tokens, tmp_path):
    (folder / "tokenizer.json").write_text("{}")
    seen = []
    facts = adapt(folder, tmp_path / "nsn", ranks="0.5x", tokens=tokens, seed=7, progress=seen.append)
    assert json.loads((tmp_path / "nsn" / "nsn.json").read_text()).items() >= json.loads(json.dumps(facts)).items()
    source = facts["provenance"]
    names = ("config.json", "model.safetensors")
    assert source["sha256"] == {name: sha256_of_file(folder / name) for name in names}
    assert (source["ranks"], source["seed"], source["whitened"]["tokens"]) == ("0.5x", 7, 143)
    assert seen == list(facts["layers"])
    for name in ("config.json", "tokenizer.json"):
        assert (tmp_path / "nsn" / name).read_bytes() == (folder / name).read_bytes()
    stored = json.loads((tmp_path / "nsn" / "nsn.json").read_text())["sha256"]
    assert stored == {"model.safetensors": sha256_of_file(tmp_path / "nsn" / "model.safetensors")}


def test_sixteen_bit_weights_get_single_precision_factors(plain, tmp_path):
    write_model(tmp_path / "half", *plain, dtype="float16")
    adapt(tmp_path / "half", tmp_path / "nsn")
    stored = safetensors.numpy.load_file(tmp_path / "nsn" / "model.safetensors")
    dtypes = {name: value.dtype for name, value in stored.items()}
    assert dtypes["embedding.E"] == dtypes["blocks.0.norm1.w"] == np.float16
    assert dtypes["blocks.0.mlp.up.A"] == dtypes["blocks.1.mlp.down.B"] == np.float32
    model = open_model(tmp_path / "nsn")
    assert {value.dtype for value in model.params.values()} == {np.dtype(np.float32)}


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    for name in ("a", "b"):
        adapt(folder, tmp_path / name, ranks=3, method="randomised", seed=5)
    adapt(folder, tmp_path / "c", ranks=3, method="randomised", seed=6)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c


def test_export_of_a_nested_folder(plain, folder, tmp_path):
    """Read, cut to a rank, written: the plain decoder of that folder is the nested one at that rank."""
    adapt(folder, tmp_path / "nsn", layers="all")
    nested = open_model(tmp_path / "nsn")
    write_model(tmp_path / "out", nested.decoder, nested.params, 3, source=tmp_path / "nsn", dtype="float64")
    decoder, params = read_model(tmp_path / "out")
    assert decoder == plain[0]
    tokens = np.arange(10).reshape(2, 5)
    expected, _ = nested.decoder.forward(nested.params, tokens, 3)
    assert np.abs(decoder.forward(params, tokens, 1)[0] - expected).max() <= 1e-12 * np.abs(expected).max()


def test_a_decoder_in_memory_is_written_and_read(plain, folder, tmp_path):
    adapt(folder, tmp_path / "nsn", ranks="1x")
    model = open_model(tmp_path / "nsn")
    facts = model.facts | {"note": "trained"}
    write_nested(tmp_path / "again", model.decoder, model.params, facts, source=tmp_path / "nsn")
    write_nested(tmp_path / "made", model.decoder, model.params)
    for name in ("again", "made"):
        again = open_model(tmp_path / name)
        assert again.decoder == model.decoder and again.params.keys() == model.params.keys()
        assert all((again.params[key] == value).all() for key, value in model.params.items())
    again = open_model(tmp_path / "again").facts
    assert again["note"] == "trained" and again["layers"] == model.facts["layers"]
    assert again["sha256"] != {} and again["config"] == model.decoder.config


def test_a_plain_folder_opens_too(plain, folder):
    model = open_model(folder, np.float32)
    assert model.decoder == plain[0] and model.facts == {} and model.params["embedding.E"].dtype == np.float32


def test_refusals_write_nothing(plain, folder, tmp_path):
    with pytest.raises(RankError, match=r"the rank of blocks\.0\.mlp\.\w+ is 13, expected an integer in 1\.\.12"):
        adapt(folder, tmp_path / "nsn", ranks=13)
    with pytest.raises(OptionError, match="adapt: method is 'fast'"):
        adapt(folder, tmp_path / "nsn", method="fast")
    with pytest.raises(OptionError, match="layers has 'convolutions', which names none"):
        adapt(folder, tmp_path / "nsn", layers="convolutions")
    with pytest.raises(FileError, match="model: exists already"):
        adapt(folder, folder)
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    last = max(name for name in tensors if "mlp" in name and name.endswith("weight"))
    tensors[last][2, 3] = np.nan
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    with pytest.raises(NonFiniteError, match=f"{last} has NaN or infinity"):
        adapt(folder, tmp_path / "nsn")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_damaged_folders(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    adapt(folder, tmp_path / "nsn", ranks=3)
    path = tmp_path / "nsn" / "nsn.json"
    good = json.loads(path.read_text())
    for change, error, message in (
        ({"format": "other"}, FileError, r"nsn\.json: has the format 'other', expected 'nsn_ref decoder 1'"),
        ({"config": {"hidden": 3}}, FileError, r"nsn\.json: config does not describe a decoder"),
        ({"config": good["config"] | {"hidden": 0}}, FileError, "config does not describe a decoder: .*hidden is 0"),
        (
            {"config": good["config"] | {"vocabulary": 31}},
            ValueError,
            r"embedding\.E has shape \(29, 12\), expected \(31",
        ),
        ({"config": good["config"] | {"nested": []}}, FileError, r"has no tensor 'blocks\.0\.mlp\.\w+\.W'"),
    ):
        path.write_text(json.dumps(good | change))
        with pytest.raises(error, match=message):
            open_model(tmp_path / "nsn")
    with pytest.raises(FileError, match=r"config\.json: cannot be read"):
        open_model(tmp_path / "nowhere")


def test_nothing_nested_is_nothing_lost(plain, tmp_path):
    decoder, params = plain
    write_nested(tmp_path / "out", decoder, params)
    assert open_model(tmp_path / "out").decoder == Decoder(decoder.config)
