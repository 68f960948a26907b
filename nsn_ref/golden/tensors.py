"""Tensor files: safetensors whose bytes are canonical, and the hash of a tensor."""

import hashlib
import json

import numpy as np

from nsn_ref.errors import FileError

_CODES = {"float64": "F64", "float32": "F32", "int64": "I64"}


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
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


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
    import safetensors
    import safetensors.numpy

    try:
        return safetensors.numpy.load(path.read_bytes())
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from None
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path}: not a safetensors file: {error}") from None
