"""A case: a design in one dtype."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Design(NamedTuple):
    """What is the same in every dtype."""

    op: str
    name: str  # ends in a number; permanent
    lane: str  # "exact" or "certified"
    attrs: dict
    draw: Callable  # (rng, dtype) to a dict of float64 and integer arrays
    flag: str  # the mistake, in a word or two
    why: str  # the mistake, in a sentence


class Case(NamedTuple):
    """A design in one dtype."""

    dtype: str
    design: Design

    @property
    def id(self):
        """The permanent name."""
        return f"{self.design.op}/{self.dtype.replace('float', 'f')}/{self.design.name}"

    @property
    def group(self):
        """The files that the case's tensors lie in: one set for each operation and dtype."""
        return f"{self.design.op}.{self.dtype}"

    def new_inputs(self):
        """Draw the inputs: used once, when the case is made; afterwards the committed ones are read."""
        rng = np.random.default_rng(list(self.id.encode()))
        drawn = self.design.draw(rng, self.dtype)
        return {name: x.astype(self.dtype) if x.dtype.kind == "f" else x for name, x in drawn.items()}
