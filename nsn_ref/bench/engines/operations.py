"""Our kernels, one operation after another: `train_step` with the engine "numba"."""

from nsn_ref.bench.cells import Cell
from nsn_ref.bench.engines.reference import Operations


def make(task):
    """The kernels' step on a cell."""
    return Operations(Cell.from_json(task), "numba")
