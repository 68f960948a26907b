"""Checkpoints: named arrays and facts about them, written so that a kill at any moment leaves a readable one.

A checkpoint is ``checkpoint.json``, which names a safetensors file of its own step and holds its SHA-256. The tensors
are written first, under a new name; renaming the JSON into place is what makes the checkpoint; then the tensors of the
one before are removed.
"""

import json
from pathlib import Path

import numpy as np

from nsn_ref.errors import FileError
from nsn_ref.files import read_bytes, read_json, sha256, write_atomically

FILE = "checkpoint.json"
FORMAT = "nsn_ref checkpoint 1"


def save_checkpoint(folder, step, arrays, facts):
    """Write a checkpoint, in place of the one before.

    Parameters
    ----------
    folder : str or Path
        It exists.
    step : int
    arrays : dict of str to ndarray
        float32 or float64.
    facts : dict
        What JSON can hold.

    Raises
    ------
    FileError
    """
    import safetensors.numpy

    folder = Path(folder)
    content = safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    tensors = f"checkpoint-{step:08d}.safetensors"
    write_atomically(folder / tensors, content)
    head = {"format": FORMAT, "step": step, "tensors": tensors, "sha256": sha256(content)}
    write_atomically(folder / FILE, json.dumps(head | facts, indent=2) + "\n")
    for old in folder.glob("checkpoint-*.safetensors"):
        if old.name != tensors:
            old.unlink()


def has_checkpoint(folder):
    """Whether a folder holds a checkpoint, readable or not."""
    return (Path(folder) / FILE).exists()


def load_checkpoint(folder):
    """Read a checkpoint.

    Returns
    -------
    arrays : dict of str to ndarray
    facts : dict
        What `save_checkpoint` was given, and ``step``.

    Raises
    ------
    FileError
        A file is missing, truncated, altered, or of another format.
    """
    import safetensors.numpy

    path = Path(folder) / FILE
    facts = read_json(path)
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        got = facts.get("format") if isinstance(facts, dict) else type(facts).__name__
        raise FileError(f"{path}: has the format {got!r}, expected {FORMAT!r}")
    for name, kind in {"step": int, "tensors": str, "sha256": str}.items():
        if not isinstance(facts.get(name), kind):
            raise FileError(f"{path}: {name} is {facts.get(name)!r}, expected a value of type {kind.__name__}")
    tensors = path.parent / Path(facts["tensors"]).name
    content = read_bytes(tensors)
    if sha256(content) != facts["sha256"]:
        got = f"{len(content)} bytes with the SHA-256 {sha256(content)}"
        raise FileError(f"{tensors}: is truncated or altered: has {got}, expected {facts['sha256']}")
    arrays = safetensors.numpy.load(content)
    return {name: np.array(array) for name, array in arrays.items()}, facts  # copies that may be written
