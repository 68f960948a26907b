"""Canonical safetensors bytes."""

import json

import ml_dtypes
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


@pytest.fixture
def narrow(rng):
    x = rng.standard_normal((3, 5))
    return {
        "half": x.astype(np.float16),
        "bfloat16": x.astype(ml_dtypes.bfloat16),
        "scalar": np.array(1.5, ml_dtypes.bfloat16),
        "empty": np.zeros((0, 3), ml_dtypes.bfloat16),
    }


def test_other_readers_understand_the_bytes(named):
    read = safetensors.numpy.load(tensors.encode(named))
    assert read.keys() == named.keys()
    for name, x in named.items():
        assert read[name].dtype == x.dtype and read[name].shape == x.shape and (read[name] == x).all()


def test_what_is_written_is_read(tmp_path, named, narrow):
    path = tmp_path / "x.safetensors"
    path.write_bytes(tensors.encode(named | narrow))
    read = tensors.read(path)
    assert read.keys() == (named | narrow).keys()
    for name, x in (named | narrow).items():
        assert read[name].dtype == x.dtype and read[name].shape == x.shape and (read[name] == x).all()
        assert read[name].flags.writeable
    assert tensors.encode(read) == path.read_bytes()


def test_what_other_libraries_write_is_read(tmp_path, named):
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file(named, path, metadata={"who": "another library"})
    read = tensors.read(path)
    assert read.keys() == named.keys() and all((read[name] == x).all() for name, x in named.items())


def test_short_floats_have_their_own_bytes(narrow):
    header = tensors.encode(narrow)
    assert b'"half":{"dtype":"F16"' in header and b'"bfloat16":{"dtype":"BF16"' in header
    upper_halves = narrow["bfloat16"].astype(np.float32).view(np.uint32) >> 16
    assert tensors.raw(narrow["bfloat16"]) == upper_halves.astype("<u2").tobytes()
    assert all(tensors.is_float(x) for x in narrow.values()) and not tensors.is_float(np.arange(3))


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


def header(**entries):
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content, reason",
    [
        (header(x={"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}) + bytes(7), "ends inside x"),
        (header(x={"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}) + bytes(9), "the data at byte 9"),
        (header(x={"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}) + bytes(8), "needs 12 bytes"),
        (header(x={"dtype": "F32", "shape": [-2], "data_offsets": [0, -8]}), "needs -8 bytes"),
        (header(x={"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}) + bytes(8), "where byte 0 was expected"),
        (header(x={"dtype": "F4", "shape": [1], "data_offsets": [0, 4]}) + bytes(4), "unknown dtype 'F4'"),
        (header(x={"dtype": "F32", "shape": [1]}) + bytes(4), "data_offsets"),
        (b"\x02\0\0\0\0\0\0\0[]", "not a safetensors file"),
        (b"\xff\0\0\0\0\0\0\0{}", "header alone should end at byte 263"),
    ],
)
def test_bad_files_are_refused_with_a_reason(tmp_path, content, reason):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(FileError, match=reason):
        tensors.read(path)


def test_every_truncation_and_every_flipped_byte_of_the_header_is_refused_or_harmless(tmp_path, named):
    path, data = tmp_path / "x.safetensors", tensors.encode(named)
    for length in range(0, len(data), 13):
        path.write_bytes(data[:length])
        with pytest.raises(FileError):
            tensors.read(path)
    end = 8 + int.from_bytes(data[:8], "little")
    for k in range(end):
        path.write_bytes(data[:k] + bytes([data[k] ^ 0x55]) + data[k + 1 :])
        try:
            read = tensors.read(path)
        except FileError:
            continue
        assert all(isinstance(x, np.ndarray) for x in read.values())  # another name, dtype of that size, or shape
