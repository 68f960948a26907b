"""One operation of the port protocol, run by an engine: the reference, the kernels, or the envelope of bounds."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nsn_ref.golden.evaluate import operations
from nsn_ref.golden.evaluate.nets import NETS
from nsn_ref.training import optimizers


class Engine(NamedTuple):
    """Who computes."""

    ops: object  # a module or object with the names of `nsn_ref.ops`
    adamw_step: Callable = optimizers.adamw_step
    sgd_step: Callable = optimizers.sgd_step


def reference():
    """The reference, over every number system."""
    from nsn_ref import ops

    return Engine(ops)


def evaluate(engine, op, inputs, attrs):
    """Outputs of an operation by name, intermediates included.

    Parameters
    ----------
    engine : Engine
    op : str
        One of `nsn_ref.golden.schema.OPERATIONS`.
    inputs : dict of str to ndarray
        In the number system to compute in; labels are integers.
    attrs : dict

    Returns
    -------
    dict of str to ndarray or number
    """
    if op in NETS:
        return NETS[op](engine, inputs, attrs)
    return operations.evaluate(engine, op, inputs, attrs)


def as_arrays(outputs):
    """Outputs as arrays, scalars with shape ()."""
    return {name: np.asarray(value) for name, value in outputs.items()}
