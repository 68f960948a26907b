"""The rows that a run was not trained on, kept in its folder so that it can be evaluated there."""

from pathlib import Path

import numpy as np

from nsn_ref.errors import FileError
from nsn_ref.files import read_bytes, write_atomically

FILE = "held_out.safetensors"


def save_held_out(folder, x, labels):
    """Write the rows into the folder of a run.

    Parameters
    ----------
    folder : str or Path
    x : ndarray
        In the shape of the network's input.
    labels : ndarray

    Raises
    ------
    FileError
    """
    import safetensors.numpy

    arrays = {"x": np.ascontiguousarray(x), "labels": np.ascontiguousarray(labels)}
    write_atomically(Path(folder) / FILE, safetensors.numpy.save(arrays))


def load_held_out(folder):
    """Read them back: the input and the labels.

    Raises
    ------
    FileError
        The file is missing, truncated, or does not hold both.
    """
    import safetensors
    import safetensors.numpy

    path = Path(folder) / FILE
    if not path.exists():
        raise FileError(f"{path}: is missing, expected the rows that `train` was given as held_out")
    try:
        arrays = safetensors.numpy.load(read_bytes(path))
    except safetensors.SafetensorError as error:
        raise FileError(f"{path}: is not a safetensors file, or truncated: {error}") from error
    if missing := {"x", "labels"} - arrays.keys():
        raise FileError(f"{path}: has no {sorted(missing)[0]!r}, expected x and labels")
    return arrays["x"], arrays["labels"]
