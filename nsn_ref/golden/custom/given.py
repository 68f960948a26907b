"""Inputs from a file: safetensors or npz, checked against the schema before anything is computed."""

import zipfile
from pathlib import Path

import numpy as np

from nsn_ref.errors import DTypeError, FileError, LabelError, NonFiniteError, OptionError, ShapeError
from nsn_ref.golden import schema, tensors


def read(path):
    """The arrays of a file, by name.

    Raises
    ------
    FileError
    """
    path = Path(path)
    if path.suffix != ".npz":
        return tensors.read(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise FileError(f"{path}: not an npz file of arrays: {error}") from None


def sizes(op, attrs, arrays):
    """Sizes by letter, from the shapes of the inputs of an operation; n, or B and T, for the leading axes.

    Raises
    ------
    ShapeError
    """
    found = {}
    for name, tensor in schema.operation(op).tensors("inputs", attrs).items():
        letters = tensor.axes.split()
        if name not in arrays or "..." in letters[1:]:
            continue
        shape, trailing = arrays[name].shape, [letter for letter in letters if letter != "..."]
        leading = shape[: len(shape) - len(trailing)]
        if not 0 <= len(leading) <= 2 or bool(leading) != ("..." in letters):
            raise ShapeError(f"golden build: --inputs: {name} has shape {shape}, expected ({', '.join(letters)})")
        named = zip([*{0: "", 1: "n", 2: "BT"}[len(leading)], *trailing], shape, strict=True)
        for letter, size in named:
            if found.setdefault(letter, size) != size:
                raise ShapeError(f"golden build: --inputs: {name} has {letter} = {size}, another input {found[letter]}")
    return found


def inputs(request, arrays):
    """The inputs of a request.

    Raises
    ------
    OptionError, DTypeError, ShapeError, NonFiniteError, LabelError
    """
    chosen = {}
    for name, tensor in request.tensors("inputs").items():
        if name not in arrays:
            there = ", ".join(sorted(arrays)) or "nothing"
            raise OptionError(f"golden build: --inputs has no {name}, which {request.op} needs; it has {there}")
        x, dtype, shape = arrays[name], schema.stored_as(tensor, request.dtype), request.shape(tensor)
        if x.dtype.name != dtype:
            raise DTypeError(f"golden build: --inputs: {name} has dtype {x.dtype}, expected {dtype} in {request.dtype}")
        if shape is not None and x.shape != shape:
            raise ShapeError(f"golden build: --inputs: {name} has shape {x.shape}, expected {shape} ({tensor.axes})")
        if tensors.is_float(x) and not np.isfinite(x.astype(np.float64)).all():
            raise NonFiniteError(f"golden build: --inputs: {name} has NaN or infinity, expected finite numbers")
        if not tensors.is_float(x):
            _check_labels(request, name, x)
        chosen[name] = x
    return chosen


def refuse_unknown(requests, arrays):
    """Every tensor of the file must be an input of some operation that is built.

    Raises
    ------
    OptionError
    """
    known = {name for request in requests for name in request.tensors("inputs")}
    if unknown := sorted(arrays.keys() - known):
        raise OptionError(f"golden build: --inputs has {unknown[0]!r}, expected {', '.join(sorted(known))}")


def _check_labels(request, name, x):
    classes = request.classes(name)
    ignored = request.attrs.get("ignore_index")
    wrong = (x < 0) | (x >= classes)
    if ignored is not None:
        wrong &= x != ignored
    if wrong.any():
        raise LabelError(f"golden build: --inputs: {name} has {x[wrong][0]}, expected 0..{classes - 1}")
