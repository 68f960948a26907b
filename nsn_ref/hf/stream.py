"""Writing safetensors files tensor by tensor: the library's own writer wants all of them in memory."""

import hashlib
import json
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nsn_ref.errors import FileError, NonFiniteError, ShapeError
from nsn_ref.hf.shards import DTYPES, FILE, INDEX

CODES = {np.dtype(dtype).name: code for code, dtype in DTYPES.items()}


class Lazy(NamedTuple):
    """A tensor that is made when its turn comes."""

    shape: tuple
    dtype: np.dtype
    blocks: Callable  # () -> iterable of ndarray: its rows in order

    @property
    def nbytes(self):
        """Size in the file."""
        return math.prod(self.shape) * self.dtype.itemsize


def whole(shape, dtype, make):
    """A `Lazy` tensor that a function makes in one piece; it is cast to the dtype."""

    def blocks():
        with np.errstate(over="ignore"):  # what overflows is refused when it is written
            return [make().astype(dtype, copy=False)]

    return Lazy(tuple(shape), np.dtype(dtype), blocks)


def write_tensors(folder, tensors, *, shard_bytes=None):
    """Write ``model.safetensors``, or shards of a size with their index.

    Parameters
    ----------
    folder : Path
        It exists.
    tensors : dict of str to Lazy
        Written in this order.
    shard_bytes : int, optional
        A file takes tensors up to this size, and at least one. Default: one file.

    Returns
    -------
    dict of str to str
        SHA-256 of each safetensors file.

    Raises
    ------
    FileError
    NonFiniteError
        A number is not finite, or too large for the dtype.
    """
    shards = [tensors] if shard_bytes is None else _shards(tensors, shard_bytes)
    if len(shards) == 1:
        return {FILE: _write(folder / FILE, tensors)}
    names = [f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)]
    hashes = {name: _write(folder / name, shard) for name, shard in zip(names, shards, strict=True)}
    index = {
        "metadata": {"total_size": sum(tensor.nbytes for tensor in tensors.values())},
        "weight_map": {name: file for file, shard in zip(names, shards, strict=True) for name in shard},
    }
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")
    return hashes


def _shards(tensors, size):
    shards, filled = [{}], 0
    for name, tensor in tensors.items():
        if shards[-1] and filled + tensor.nbytes > size:
            shards.append({})
            filled = 0
        shards[-1][name] = tensor
        filled += tensor.nbytes
    return shards


def _write(path, tensors):
    """One file; its SHA-256."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0  # without this key transformers refuses the file
    for name, tensor in tensors.items():
        ends = [offset, offset + tensor.nbytes]
        header[name] = {"dtype": CODES[tensor.dtype.name], "shape": list(tensor.shape), "data_offsets": ends}
        offset = ends[1]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    try:
        with path.open("wb") as file:
            digest = hashlib.sha256()

            def put(block):
                file.write(block)
                digest.update(block)

            put(len(text).to_bytes(8, "little") + text)
            for name, tensor in tensors.items():
                start = file.tell()
                for block in tensor.blocks():
                    if not np.isfinite(block).all():
                        got = f"{name} has NaN or infinity as {tensor.dtype.name}"
                        raise NonFiniteError(f"{path.name}: {got}, expected finite numbers")
                    put(np.ascontiguousarray(block).reshape(-1).view(np.uint8))
                if file.tell() - start != tensor.nbytes:
                    got = f"{name} has {file.tell() - start} bytes"
                    raise ShapeError(f"{path}: {got}, expected {tensor.nbytes} for the shape {tensor.shape}")
            return digest.hexdigest()
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror or error}") from error
