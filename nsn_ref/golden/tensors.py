"""Tensor files: safetensors whose bytes are canonical, and the hash of a tensor."""

import hashlib
import json
import math

import ml_dtypes
import numpy as np

from nsn_ref.errors import FileError

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
_DTYPES = {
    "F64": np.dtype(np.float64), "F32": np.dtype(np.float32), "F16": np.dtype(np.float16), "BF16": BFLOAT16,
    "I64": np.dtype(np.int64), "I32": np.dtype(np.int32), "I16": np.dtype(np.int16), "I8": np.dtype(np.int8),
    "U64": np.dtype(np.uint64), "U32": np.dtype(np.uint32), "U16": np.dtype(np.uint16), "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}  # fmt: skip
_CODES = {dtype.name: code for code, dtype in _DTYPES.items()}


def is_float(array):
    """Whether the elements are floating-point numbers; NumPy itself does not count bfloat16."""
    return array.dtype.kind == "f" or array.dtype == BFLOAT16


def encode(tensors):
    """The bytes of a safetensors file: empty metadata, tensors by falling item size and then by name.

    The format leaves the order and the spelling of the header open; here they are fixed, so that equal tensors give
    equal bytes whatever library wrote them, and every tensor is aligned.
    """
    header, blobs, offset = {"__metadata__": {}}, [], 0
    for name in sorted(tensors, key=lambda name: (-tensors[name].itemsize, name)):
        blob = raw(tensors[name])
        code, shape = _CODES[tensors[name].dtype.name], list(tensors[name].shape)
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *blobs])


def raw(array):
    """A tensor's bytes in a file: row by row, little-endian."""
    array = np.asarray(array)
    if array.dtype == BFLOAT16:
        array = array.view(np.uint16)
    return np.asarray(array, array.dtype.newbyteorder("<")).tobytes()


def sha256(array):
    """The hash of a tensor's bytes."""
    return hashlib.sha256(raw(array)).hexdigest()


def read(path):
    """The tensors of a safetensors file, by name.

    Raises
    ------
    FileError
        Missing, truncated, or not a safetensors file.
    """
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FileError(f"{path}: not a safetensors file: {error}") from None


def decode(data):
    """The tensors of the bytes of a safetensors file, by name.

    Raises
    ------
    ValueError, KeyError, TypeError, AttributeError
    """
    start = 8 + int.from_bytes(data[:8], "little")
    if not 8 < start <= len(data):
        raise ValueError(f"{len(data)} bytes, but the header alone should end at byte {start}")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    body, end = data[start:], 0
    tensors = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        first, last = entry["data_offsets"]
        if entry["dtype"] not in _DTYPES:
            raise ValueError(f"{name} has the unknown dtype {entry['dtype']!r}")
        dtype, shape = _DTYPES[entry["dtype"]], entry["shape"]
        size = math.prod(shape) * dtype.itemsize
        if any(type(n) is not int or n < 0 for n in (*shape, first, last)) or last - first != size:
            raise ValueError(f"{name} of shape {shape} needs {size} bytes, not those from {first} to {last}")
        if first != end:
            raise ValueError(f"{name} begins at byte {first}, where byte {end} was expected")
        tensors[name] = _array(body[first:last], dtype, shape, name)
        end = last
    if end != len(body):
        raise ValueError(f"the tensors end at byte {end}, the data at byte {len(body)}")
    return tensors


def _array(blob, dtype, shape, name):
    if len(blob) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"the data ends inside {name}")
    plain = np.dtype(np.uint16) if dtype == BFLOAT16 else dtype
    return np.frombuffer(blob, plain.newbyteorder("<")).astype(plain).view(dtype).reshape(shape)
