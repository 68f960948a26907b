"""What a run computes with: the operations, and the optimiser steps that go with them."""

from typing import NamedTuple

from nsn_ref import blas, checks
from nsn_ref.errors import OptionError


class Engine(NamedTuple):
    """An engine by name."""

    name: str
    ops: object  # module
    optimizers: object  # module


def load_engine(name):
    """The engine "reference" (NumPy) or "numba".

    Raises
    ------
    OptionError
        The name does not exist, Numba cannot be imported, or the BLAS that is asked for is not there.
    """
    checks.choice("load_engine", "engine", name, ("numba", "reference"))
    if name == "reference":
        from nsn_ref import ops
        from nsn_ref.training import optimizers

        return Engine(name, ops, optimizers)
    try:
        from nsn_ref import kernels
    except ImportError as error:
        raise OptionError(f"load_engine: engine is 'numba', which cannot be imported: {error}") from error
    blas.check()
    return Engine(name, kernels, kernels)


def check_engine(engine, net):
    """Check that an engine has every operation that a network calls.

    Raises
    ------
    OptionError
    """
    for stem in sorted({stem for layer in net.layers for stem in layer.stems}):
        if not hasattr(engine.ops, f"{stem}_forward"):
            raise OptionError(f"train: engine is {engine.name!r}, which has no {stem}; expected 'reference'")
