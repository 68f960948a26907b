"""Which tensor of a Hugging Face file holds a parameter of ours, and which part of it."""

import re
from typing import NamedTuple

import numpy as np

LEAVES = {"E": "weight", "W": "weight", "w": "weight", "b": "bias"}
FUSED = {"q": 0, "k": 1, "v": 2}  # places in GPT-NeoX's query_key_value


class Place(NamedTuple):
    """Where a parameter lies."""

    tensor: str
    part: int | None = None  # of a fused tensor; None: all of it


def place(family, name):
    """Where a parameter of a plain decoder lies in the files of a family."""
    module, leaf = name.rsplit(".", 1)
    block = re.match(r"blocks\.(\d+)\.", module)
    number = block[1] if block else None
    pattern = f"blocks.{{}}.{module[block.end() :]}" if block else module
    if family.fused and pattern.startswith("blocks.{}.attention.") and (key := pattern.rsplit(".", 1)[1]) in FUSED:
        return Place(f"{family.fused.format(number)}.{LEAVES[leaf]}", FUSED[key])
    return Place(f"{family.modules[pattern].format(number)}.{LEAVES[leaf]}")


def tensor_shapes(family, shapes):
    """Shapes of the tensors of the files, by their names, from those of a plain decoder's parameters.

    A fused tensor has the rows of three.
    """
    tensors = {}
    for name, shape in shapes.items():
        tensor, part = place(family, name)
        tensors[tensor] = tuple(shape) if part is None else (3 * shape[0], *shape[1:])
    return tensors


def split(tensor, part, heads):
    """Query, key or value of a fused tensor: rows (heads, 3, head_dim) to (heads, head_dim)."""
    rows = tensor.reshape(heads, 3, -1, *tensor.shape[1:])[:, part]
    return rows.reshape(-1, *tensor.shape[1:])


def join(parts, heads):
    """The fused tensor of query, key and value: the inverse of `split`."""
    rows = np.stack([part.reshape(heads, -1, *part.shape[1:]) for part in parts], axis=1)
    return rows.reshape(-1, *parts[0].shape[1:])
