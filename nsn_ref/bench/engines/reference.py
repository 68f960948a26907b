"""The reference operations in NumPy, one after another: `train_step` with the engine "reference"."""

from nsn_ref.bench.cells import Cell
from nsn_ref.bench.engines import Steps
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.engines import load_engine
from nsn_ref.training.step import TrainState, start
from nsn_ref.training.steppers import OperationSteps

FOREVER = 10**9  # the schedule is constant


class Operations(Steps):
    """An engine's operations on a cell."""

    def __init__(self, cell, name):
        params, self.batches = cell.data()
        self.ranks = cell.ranks
        rates = {"lr": cell.lr, "weight_decay": cell.weight_decay, "eps": cell.eps, "schedule": "constant"}
        config = TrainConfig(steps=FOREVER, dtype=cell.dtype, engine=name, **rates)
        net = cell.net()
        state = TrainState(0, params, *start(net, config)[2:])
        self.engine = OperationSteps(net, config, state, FOREVER, load_engine(name))

    def step(self, i):
        """One step."""
        self.engine.advance(*self.batches[i % len(self.batches)], self.ranks)
        return self.engine.last

    def read(self, result):
        """The losses, then their total."""
        return [*map(float, result.losses), float(result.total)]


def make(task):
    """The reference's step on a cell."""
    return Operations(Cell.from_json(task), "reference")
