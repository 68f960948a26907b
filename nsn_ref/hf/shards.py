"""The tensors of a model folder, one or several safetensors files: nothing is read before it is asked for."""

import math
from pathlib import Path
from typing import NamedTuple

import ml_dtypes
import numpy as np

from nsn_ref.errors import DTypeError, FileError, NonFiniteError
from nsn_ref.files import read_json

FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"
DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
BLOCK = 2**24  # bytes that are mapped at a time by `Shards.blocks`


class Entry(NamedTuple):
    """Where a tensor lies."""

    path: Path
    offset: int
    shape: tuple
    code: str  # of the element type, as safetensors spells it


class Shards:
    """Tensors by name, mapped from the files: an array that is dropped takes its pages along.

    Parameters
    ----------
    folder : str or Path
        With ``model.safetensors``, or with ``model.safetensors.index.json`` and the files that it names.

    Raises
    ------
    FileError
        A file is missing or damaged, or lacks a tensor that the index places in it.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.entries = {}
        for file, names in _files(self.folder).items():
            found = _entries(self.folder / file)
            for name in found if names is None else names:
                if name not in found:
                    raise FileError(f"{self.folder / file}: has no tensor {name!r}, which {INDEX} expects in it")
                self.entries[name] = found[name]

    @property
    def paths(self):
        """The files, in order."""
        return sorted({entry.path for entry in self.entries.values()})

    def dtype(self, name):
        """The element type of a tensor of floats.

        Raises
        ------
        DTypeError
        """
        entry = self.entries[name]
        if entry.code not in DTYPES:
            raise DTypeError(f"{entry.path}: {name} has elements {entry.code}, expected one of {', '.join(DTYPES)}")
        return np.dtype(DTYPES[entry.code])

    def map(self, name):
        """A tensor as it lies in its file. Writing to the array changes a private copy, not the file.

        Raises
        ------
        FileError, DTypeError
        """
        entry, dtype = self.entries[name], self.dtype(name)
        return _map(entry, dtype, entry.offset, entry.shape)

    def read(self, name, dtype=None):
        """A tensor in a dtype, by default that of the file. Without a conversion it stays mapped.

        Raises
        ------
        FileError, DTypeError
        NonFiniteError
            It has a NaN or infinity.
        """
        for _ in self.blocks(name):  # checks every element, and lets go of its page
            pass
        array = self.map(name)
        return np.require(array if dtype is None else array.astype(dtype, copy=False), requirements="AW")

    def blocks(self, name):
        """A tensor as it lies in its file, a few rows at a time, for what is larger than memory should hold.

        Yields
        ------
        ndarray
            Rows, each block valid until the next one is asked for.

        Raises
        ------
        FileError, DTypeError, NonFiniteError
        """
        entry, dtype = self.entries[name], self.dtype(name)
        rows, width = entry.shape[0], math.prod(entry.shape[1:]) * dtype.itemsize
        step = max(1, BLOCK // width)
        for start in range(0, rows, step):
            count = min(step, rows - start)
            block = _map(entry, dtype, entry.offset + start * width, (count, *entry.shape[1:]))
            if not np.isfinite(block).all():
                raise NonFiniteError(f"{entry.path}: {name} has NaN or infinity, expected finite numbers")
            yield block


def _files(folder):
    """File names, and the tensors that the index expects in each; None: all that it has."""
    if not (folder / INDEX).exists():
        if not (folder / FILE).is_file():
            raise FileError(f"{folder}: has neither {FILE} nor {INDEX}; weights in other formats are not read")
        return {FILE: None}
    index = read_json(folder / INDEX)
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict) or not places:
        raise FileError(f"{folder / INDEX}: weight_map is {places!r}, expected the file of each tensor")
    files = {}
    for name, file in places.items():
        if not isinstance(file, str) or Path(file).name != file:
            raise FileError(f"{folder / INDEX}: weight_map places {name} in {file!r}, expected a file of the folder")
        files.setdefault(file, []).append(name)
    for file, names in files.items():
        if not (folder / file).is_file():
            raise FileError(f"{folder / file}: is missing, {INDEX} expects {names[0]} in it")
    return files


def _entries(path):
    """Where each tensor of a file lies: one after another, without gaps, as `safetensors` checks."""
    import safetensors

    entries = {}
    try:
        with path.open("rb") as file:
            offset = 8 + int.from_bytes(file.read(8), "little")
        with safetensors.safe_open(path, "np") as file:
            for name in file.offset_keys():
                tensor = file.get_slice(name)
                entry = Entry(path, offset, tuple(tensor.get_shape()), tensor.get_dtype())
                entries[name] = entry
                offset += math.prod(entry.shape) * BYTES.get(entry.code, 1)
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from error
    except safetensors.SafetensorError as error:
        raise FileError(f"{path}: is no complete safetensors file: {error}") from error
    if offset != path.stat().st_size:
        raise FileError(f"{path}: its tensors end at byte {offset}, expected {path.stat().st_size}")
    return entries


def _map(entry, dtype, offset, shape):
    try:
        return np.asarray(np.memmap(entry.path, dtype.newbyteorder("<"), "c", offset, shape))
    except (OSError, ValueError) as error:
        raise FileError(f"{entry.path}: cannot be mapped: {error}") from error
