"""Canonical safetensors bytes."""

import json

import numpy as np
import pytest
import safetensors.numpy

from nsn_ref.errors import FileError
from nsn_ref.golden import tensors


@pytest.fixture
def named(rng):
    return {
        "b/x": rng.standard_normal((3, 5)).astype(np.float32),
        "a": rng.standard_normal((2, 3, 7)),
        "c": np.array([4, 2, 0], dtype=np.int64),
        "scalar": np.array(1.5),
        "empty": np.zeros((0, 3)),
    }


def test_other_readers_understand_the_bytes(named):
    read = safetensors.numpy.load(tensors.encode(named))
    assert read.keys() == named.keys()
    for name, x in named.items():
        assert read[name].dtype == x.dtype and read[name].shape == x.shape and (read[name] == x).all()


def test_bytes_do_not_depend_on_order_layout_or_byte_order(named):
    expected = tensors.encode(named)
    shuffled = {name: named[name].copy(order="F") for name in reversed(named)}
    swapped = {name: x.astype(x.dtype.newbyteorder(">")) for name, x in named.items()}
    assert tensors.encode(shuffled) == expected
    assert tensors.encode(swapped) == expected
    assert [tensors.sha256(x) for x in swapped.values()] == [tensors.sha256(x) for x in named.values()]


def test_the_header_is_as_documented(named):
    data = tensors.encode(named)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert length % 8 == 0 and header.pop("__metadata__") == {}
    assert list(header) == ["a", "c", "empty", "scalar", "b/x"]
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        assert start % named[name].itemsize == 0
        assert data[8 + length + start : 8 + length + end] == named[name].tobytes()


@pytest.mark.parametrize("content", [b"", b"garbage that is no file at all", b"\xff" * 64])
def test_garbage_is_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"x\.safetensors: not a safetensors file"):
        tensors.read(path)
    with pytest.raises(FileError, match="No such file"):
        tensors.read(tmp_path / "missing.safetensors")
