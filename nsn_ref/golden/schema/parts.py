"""What an operation of the port protocol is described by."""

from collections.abc import Callable
from typing import NamedTuple

from nsn_ref.golden import contracts


class Tensor(NamedTuple):
    """One tensor of an operation."""

    name: str
    axes: str  # names of its axes; "..." is (n) or (B, T); "" is a scalar
    kind: str = "float"  # "float" is a format of the case; else a dtype
    optional: bool = False  # an intermediate, which a port may return
    when: tuple = ()  # (attribute, value): the tensor exists only then
    master: bool = False  # a weight, a sum over the batch or a number of the optimiser: float32 in bfloat16_master


class Attr(NamedTuple):
    """One attribute of an operation."""

    name: str
    kind: str  # "int", "ints" (a list), "float", "bool" or "name"
    meaning: str
    default: object = None  # what it means where a suite leaves it out; None: it may not be left out


class Operation(NamedTuple):
    """One operation of the protocol; its tensors are in the order in which they are computed."""

    name: str
    meaning: str
    inputs: tuple
    attrs: tuple
    outputs: tuple
    layout: Callable | None = None  # of a net: (which, attrs) to a tuple of Tensor, as they depend on its depth

    def tensors(self, which, attrs):
        """The tensors of `which` ("inputs" or "outputs") that exist under these attributes, by name."""
        declared = self.layout(which, attrs) if self.layout else getattr(self, which)
        return {t.name: t for t in declared if not t.when or attrs[t.when[0]] == t.when[1]}


def both_ways(stem, meaning, inputs, attrs, output, differentiable, intermediates=(), numbers=()):
    """The forward operation, and the backward one, which has a cotangent beside the same inputs.

    `intermediates` come before the output, `numbers` (which follow from it) after it.
    """
    by_name = {t.name: t for t in inputs}
    cotangent = output._replace(name=f"d{output.name}")
    grads = tuple(by_name[name]._replace(name=f"d{name}") for name in differentiable)
    gradients = "gradient" if len(grads) == 1 else "gradients"
    meaning_back = f"{gradients} of sum({cotangent.name} * {output.name})"
    return (
        Operation(f"{stem}_forward", meaning, inputs, attrs, (*intermediates, output, *numbers)),
        Operation(f"{stem}_backward", meaning_back, (*inputs, cotangent), attrs, grads),
    )


def stored_as(tensor, dtype):
    """The dtype of a tensor in the cases of a format."""
    if tensor.kind != "float":
        return tensor.kind
    contract = contracts.default(dtype)
    return contract.master if tensor.master else contract.storage


def optional(name, axes):
    """An intermediate."""
    return Tensor(name, axes, optional=True)


def weight(name, axes):
    """A parameter."""
    return Tensor(name, axes, master=True)


RANK = Attr("rank", "int", "the rank r, in 1..R")
RANKS = Attr("ranks", "ints", "K ranks, each in 1..R, in any order, duplicates allowed")
