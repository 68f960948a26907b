"""What the layers of a decoder know of the sequences that they run on, beside the vectors themselves."""

from typing import NamedTuple

import numpy as np

from nsn_ref.ops.rotary import rotary_tables


class Sequences(NamedTuple):
    """Of n sequences with T new positions each, on top of those in a cache."""

    positions: np.ndarray  # (T,) or (n, T), integers
    mask: np.ndarray | None  # (n, S): which of all positions may be seen; None: all
    cos: np.ndarray | None  # (T, P) or (n, T, P): of the rotation by each position; None: nothing is rotated
    sin: np.ndarray | None  # the shape of cos
    cache: object = None  # KVCache, or None


def on_sequences(config, positions, mask, like, cache=None):
    """What layers know of sequences at the given positions; tables of rotations have the number type of `like`."""
    cos = sin = None
    if config.rotary:
        cos, sin = rotary_tables(positions, config.rotary // 2, config.rotary_base, like)
    return Sequences(positions, mask, cos, sin, cache)
