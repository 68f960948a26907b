"""A case: a design in one format."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nsn_ref.golden import schema

PLAIN = ("float64", "float32")
SHORT = ("bfloat16", "float16")
ALL = (*PLAIN, "tf32", *SHORT, "bfloat16_master")  # with products of matrices, which tf32 is about
NO_PRODUCTS = (*PLAIN, *SHORT)  # tf32 is float32 there; and nothing tells that weights, if any, are float32
MIXED = (*NO_PRODUCTS, "bfloat16_master")  # a weight in float32 beside an activation tells the format
PREFIXES = {
    "float64": "f64",
    "float32": "f32",
    "tf32": "tf32",
    "bfloat16": "bf16",
    "float16": "f16",
    "bfloat16_master": "bf16_master",
}


class Design(NamedTuple):
    """What is the same in every format."""

    op: str
    name: str  # ends in a number; permanent
    lane: str  # "exact", "certified" or "sequence"
    attrs: dict
    draw: Callable  # (rng, format) to a dict of float64 and integer arrays
    flag: str  # the mistake, in a word or two
    why: str  # the mistake, in a sentence
    formats: tuple = PLAIN
    session: str | None = None  # calls of one session, on one port object, in the order of the cases


class Case(NamedTuple):
    """A design in one format."""

    dtype: str  # the format
    design: Design

    @property
    def id(self):
        """The permanent name."""
        return f"{self.design.op}/{PREFIXES[self.dtype]}/{self.design.name}"

    @property
    def group(self):
        """The files that the case's tensors lie in: one set for each family of operations and format."""
        return f"{schema.FILES[self.design.op]}.{self.dtype}"

    @property
    def session(self):
        """The name of the session, one for each format; or None."""
        return self.design.session and f"{PREFIXES[self.dtype]}/{self.design.session}"

    def new_inputs(self):
        """Draw the inputs: used once, when the case is made; afterwards the committed ones are read."""
        rng = np.random.default_rng(list(self.id.encode()))
        drawn = self.design.draw(rng, self.dtype)
        declared = schema.operation(self.design.op).tensors("inputs", self.design.attrs)
        return {name: drawn[name].astype(dtype_of(schema.stored_as(t, self.dtype))) for name, t in declared.items()}


def dtype_of(name):
    """The NumPy dtype of that name; bfloat16 is one of ml_dtypes."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)
