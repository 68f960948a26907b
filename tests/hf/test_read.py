"""Folders in: the tensors under our names, and every way in which a folder can be wrong."""

import json

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from nsn_ref.errors import DTypeError, FileError, NonFiniteError, OptionError, ShapeError
from nsn_ref.hf import read_model
from nsn_ref.hf.names import join, split
from nsn_ref.hf.read import ModelFolder
from nsn_ref.nets.decoder import Decoder

FUSED = "gpt_neox.layers.1.attention.query_key_value.weight"


def change_tensors(folder, change):
    """Read the tensors with the library, change them, write them back with it."""
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    change(tensors)
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")


def change_config(folder, **change):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_a_fused_projection_is_split_by_heads(plain, folder):
    """Row (h, j, i) of the file, of heads, query-key-value and head_dim, is row (h, i) of the j-th projection."""
    _, params = plain
    fused = safetensors.numpy.load_file(folder / "model.safetensors")[FUSED]
    for h in range(3):
        for j, name in enumerate("qkv"):
            for i in range(4):
                row = params[f"blocks.1.attention.{name}.W"][4 * h + i]
                assert (fused[(3 * h + j) * 4 + i] == row).all()


def test_split_undoes_join(rng):
    parts = [rng.standard_normal((6, 5)) for _ in range(3)]
    joined = join(parts, heads=2)
    assert joined.shape == (18, 5)
    for part, expected in enumerate(parts):
        assert (split(joined, part, heads=2) == expected).all()


def test_parameters_come_back(plain, folder):
    decoder, params = plain
    again, read = read_model(folder)
    assert again == decoder and read.keys() == params.keys()
    for name, value in params.items():
        assert read[name].dtype == np.float32 and (read[name] == value).all(), name


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_dtypes(plain, folder, dtype):
    """16-bit weights are read as float32, float64 as such; asked for, each in the other."""
    _, params = plain
    change_tensors(folder, lambda tensors: tensors.update({k: v.astype(dtype) for k, v in tensors.items()}))
    _, read = read_model(folder)
    assert {value.dtype for value in read.values()} == {np.dtype(np.float64 if dtype is np.float64 else np.float32)}
    for asked in (np.float32, np.float64):
        _, read = read_model(folder, asked)
        for name, value in params.items():
            assert read[name].dtype == asked and (read[name] == value.astype(dtype)).all(), name


def test_changing_an_array_changes_no_file(folder):
    before = (folder / "model.safetensors").read_bytes()
    _, params = read_model(folder)
    for value in params.values():
        value += 1
    assert (folder / "model.safetensors").read_bytes() == before


def test_blocks_of_rows_make_the_tensor(folder, plain, monkeypatch):
    monkeypatch.setattr("nsn_ref.hf.shards.BLOCK", 100)  # two rows of twelve float32
    model = ModelFolder(folder)
    blocks = list(model.blocks("embedding.E"))
    assert [len(block) for block in blocks] == [2] * 14 + [1]
    assert (np.concatenate(blocks) == plain[1]["embedding.E"]).all()
    assert (next(iter(model.blocks("blocks.0.attention.k.W"))) == plain[1]["blocks.0.attention.k.W"]).all()


@pytest.mark.parametrize("family", ["gpt_neox", "qwen2", "gpt_neo", "gemma", "llama"])
def test_every_family_has_a_place_for_every_tensor(tiny, family):
    """Folders that transformers wrote are read; each of their numbers is in exactly one parameter."""
    decoder, params = read_model(tiny(family))
    theirs = safetensors.numpy.load_file(tiny(family) / "model.safetensors")
    assert sum(value.size for value in params.values()) == sum(value.size for value in theirs.values())
    ours, all_of_them = (np.sort(np.concatenate([v.ravel() for v in d.values()])) for d in (params, theirs))
    assert (ours == all_of_them).all()
    assert {name: value.shape for name, value in params.items()} == Decoder(decoder.config).shapes()


def test_several_shards(tiny, transformers, tmp_path):
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny("qwen2"))
    model.save_pretrained(tmp_path, max_shard_size="9KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    (_, one), (_, many) = read_model(tiny("qwen2")), read_model(tmp_path)
    assert one.keys() == many.keys() and all((one[name] == many[name]).all() for name in one)
    lost = sorted(tmp_path.glob("*.safetensors"))[1]
    content = lost.read_bytes()
    lost.unlink()
    with pytest.raises(FileError, match=rf"{lost.name}: is missing, model\.safetensors\.index\.json expects model\."):
        read_model(tmp_path)
    lost.write_bytes(content[:-8])
    with pytest.raises(FileError, match=rf"{lost.name}: is no complete safetensors file"):
        read_model(tmp_path)


def test_an_index_that_lies(folder):
    index = folder / "model.safetensors.index.json"
    for content, message in (
        ({}, "weight_map is None, expected the file of each tensor"),
        ({"weight_map": {"a": "../config.json"}}, "weight_map places a in '../config.json', expected a file of"),
        (
            {"weight_map": {"a": "model.safetensors"}},
            r"model\.safetensors: has no tensor 'a', which .*index\.json expects",
        ),
    ):
        index.write_text(json.dumps(content))
        with pytest.raises(FileError, match=message):
            read_model(folder)


def test_weights_in_other_formats_are_not_opened(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(
        FileError, match=r"has neither model\.safetensors nor .*; weights in other formats are not read"
    ):
        read_model(folder)


def test_a_shape_that_disagrees_with_the_configuration(folder):
    change_config(folder, intermediate_size=19)
    with pytest.raises(ShapeError, match=r"dense_h_to_4h\.weight has shape \(17, 12\), expected \(19, 12\) by config"):
        read_model(folder)


def test_tensors_that_lack_or_have_no_place(folder):
    change_tensors(
        folder, lambda tensors: tensors.update({"gpt_neox.layers.0.attention.rotary_emb.inv_freq": np.ones(1)})
    )
    read_model(folder)  # older versions saved it
    change_tensors(folder, lambda tensors: tensors.update({"gpt_neox.layers.0.attention.q_norm.weight": np.ones(1)}))
    with pytest.raises(FileError, match=r"has the tensor '.*q_norm\.weight', for which config\.json has no place"):
        read_model(folder)
    change_tensors(folder, lambda tensors: tensors.pop(FUSED))
    with pytest.raises(FileError, match=f"has no tensor '{FUSED}', expected one of shape"):
        read_model(folder)


def test_a_head_beside_a_tied_one_is_ignored(tiny, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((tiny("qwen2") / name).read_bytes())
    change_tensors(tmp_path, lambda tensors: tensors.update({"lm_head.weight": tensors["model.embed_tokens.weight"]}))
    assert "head.W" not in read_model(tmp_path)[1]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_weight_that_is_not_finite(folder, bad):
    def spoil(tensors):
        tensors[FUSED][3, 5] = bad

    change_tensors(folder, spoil)
    with pytest.raises(NonFiniteError, match=rf"{FUSED} has NaN or infinity"):
        read_model(folder)
    with pytest.raises(NonFiniteError, match=rf"{FUSED} has NaN or infinity"):
        list(ModelFolder(folder).shards.blocks(FUSED))


def test_integers_are_no_weights(folder):
    change_tensors(folder, lambda tensors: tensors.update({FUSED: tensors[FUSED].astype(np.int8)}))
    with pytest.raises(DTypeError, match=rf"{FUSED} has elements I8, expected one of F64, F32, F16, BF16"):
        read_model(folder)


def test_dtype_of_the_parameters(folder):
    with pytest.raises(OptionError, match="read_model: dtype is 'int8', expected float32 or float64"):
        read_model(folder, "int8")


def test_a_file_that_is_no_model(folder):
    (folder / "model.safetensors").write_bytes(b"\x05" * 7)
    with pytest.raises(FileError, match=r"model\.safetensors: is no complete safetensors file"):
        read_model(folder)
