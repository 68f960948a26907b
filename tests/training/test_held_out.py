"""Rows that a run holds out: they come back as they were, and damage is named."""

import numpy as np
import pytest

from nsn_ref.errors import FileError
from nsn_ref.training.held_out import load_held_out, save_held_out


def test_held_out_rows_come_back(tmp_path, rng):
    x, labels = rng.standard_normal((4, 5)).astype(np.float32)[:, ::-1], np.array([1, 0, 2, 1])
    save_held_out(tmp_path, x, labels)
    found = load_held_out(tmp_path)
    assert (found[0] == x).all() and (found[1] == labels).all() and found[0].dtype == np.float32
    file = tmp_path / "held_out.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(FileError, match="truncated"):
        load_held_out(tmp_path)
    file.unlink()
    file.mkdir()
    with pytest.raises(FileError, match="cannot be read"):
        load_held_out(tmp_path)
