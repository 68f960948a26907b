"""What the layers of a decoder know of the sequences that they run on, beside the vectors themselves."""

from typing import NamedTuple

import numpy as np


class Sequences(NamedTuple):
    """Of n sequences with T new positions each, on top of those in a cache."""

    positions: np.ndarray  # (T,) or (n, T), integers
    mask: np.ndarray | None  # (n, S): which of all positions may be seen; None: all
    cos: np.ndarray | None  # (T, P) or (n, T, P): of the rotation by each position; None: nothing is rotated
    sin: np.ndarray | None  # the shape of cos
    cache: object = None  # KVCache, or None
