"""Checkpoints: what is read is what was written, and no failure costs the one before."""

import json
from pathlib import Path

import numpy as np
import pytest

from nsn_ref.errors import FileError
from nsn_ref.training import checkpoint
from nsn_ref.training.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint


def arrays(rng):
    return {
        "params/layers.0.A": rng.standard_normal((3, 5)).astype(np.float32),
        "m/s": rng.standard_normal(7),
        "v/transposed": rng.standard_normal((3, 5)).T,
        "empty": np.zeros((0, 3)),
    }


def same(found, expected):
    return found.keys() == expected.keys() and all(
        found[k].dtype == v.dtype and found[k].shape == v.shape and (found[k] == v).all() for k, v in expected.items()
    )


def test_what_is_read_is_what_was_written(rng, tmp_path):
    assert not has_checkpoint(tmp_path)
    first, second = arrays(rng), arrays(rng)
    save_checkpoint(tmp_path, 5, first, {"note": [1, None]})
    found, facts = load_checkpoint(tmp_path)
    assert same(found, first) and facts["step"] == 5 and facts["note"] == [1, None]
    assert all(array.flags.writeable and array.flags.c_contiguous for array in found.values())
    save_checkpoint(tmp_path, 10, second, {})
    assert same(load_checkpoint(tmp_path)[0], second)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-00000010.safetensors", "checkpoint.json"]


@pytest.mark.parametrize("fails", range(4))
def test_a_failure_at_any_stage_leaves_the_old_one(rng, tmp_path, monkeypatch, fails):
    """The stages: tensors written, tensors renamed, JSON renamed, old tensors removed."""
    old, new = arrays(rng), arrays(rng)
    save_checkpoint(tmp_path, 5, old, {})
    real, renames = Path.replace, []

    def replace(self, target):
        renames.append(target)
        if len(renames) == fails:
            raise OSError(5, "Input/output error")
        return real(self, target)

    def unlink(self, missing_ok=False):
        raise OSError(5, "Input/output error")

    def broken_save(tensors):
        raise OSError(5, "Input/output error")

    if fails == 0:
        import safetensors.numpy

        monkeypatch.setattr(safetensors.numpy, "save", broken_save)
    elif fails == 3:
        monkeypatch.setattr(Path, "unlink", unlink)
    else:
        monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError):
        save_checkpoint(tmp_path, 6, new, {})
    monkeypatch.undo()
    found, facts = load_checkpoint(tmp_path)
    assert same(found, new if fails == 3 else old) and facts["step"] == (6 if fails == 3 else 5)
    save_checkpoint(tmp_path, 7, new, {})  # and what was left over is cleared away
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-00000007.safetensors", "checkpoint.json"]


def test_the_same_step_can_be_saved_again(rng, tmp_path):
    save_checkpoint(tmp_path, 5, arrays(rng), {})
    again = arrays(rng)
    save_checkpoint(tmp_path, 5, again, {})
    assert same(load_checkpoint(tmp_path)[0], again)


def test_damaged_files_are_refused(rng, tmp_path):
    save_checkpoint(tmp_path, 5, arrays(rng), {})
    tensors, head = tmp_path / "checkpoint-00000005.safetensors", tmp_path / checkpoint.FILE
    content, text = tensors.read_bytes(), head.read_text()
    for damaged in (content[:-1], content[:-9] + bytes([content[-9] ^ 1]) + content[-8:], b"", content + b"\0"):
        tensors.write_bytes(damaged)
        with pytest.raises(FileError, match=r"checkpoint-00000005\.safetensors: is truncated or altered"):
            load_checkpoint(tmp_path)
    tensors.unlink()
    with pytest.raises(FileError, match=r"checkpoint-00000005\.safetensors: cannot be read"):
        load_checkpoint(tmp_path)
    tensors.write_bytes(content)
    for damaged in (text[: len(text) // 2], "", "[]", "{}", text.replace("checkpoint 1", "checkpoint 9")):
        head.write_text(damaged)
        with pytest.raises(FileError, match=r"checkpoint\.json"):
            load_checkpoint(tmp_path)
    for key in ("step", "tensors", "sha256"):
        head.write_text(json.dumps({k: v for k, v in json.loads(text).items() if k != key}))
        with pytest.raises(FileError, match=f"{key} is None, expected a value of type"):
            load_checkpoint(tmp_path)
    with pytest.raises(FileError, match=r"checkpoint\.json: cannot be read"):
        load_checkpoint(tmp_path / "nowhere")
