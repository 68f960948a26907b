"""What `nsn_ref.train` steps with: the compiled step."""

from nsn_ref.bench.cells import Cell
from nsn_ref.bench.engines import Steps
from nsn_ref.kernels.step import adamw_rates, make_step


class Ours(Steps):
    """The compiled step on a cell."""

    def __init__(self, cell):
        params, self.batches = cell.data()
        self.cell = cell
        # as many threads as are worth waking, at most those of the process
        self.engine = make_step(cell.net(), cell.dtype, self.batches[0][0].shape, ranks=len(cell.ranks))
        self.engine.load(params, {}, {})

    def step(self, i):
        """One step."""
        (x, labels), cell, t = self.batches[i % len(self.batches)], self.cell, self.engine.steps + 1
        rates = (adamw_rates(t, lr=cell.lr, eps=cell.eps, weight_decay=decay) for decay in (cell.weight_decay, 0.0))
        return self.engine.step(x, labels, cell.ranks, tuple(rates))

    def read(self, result):
        """The losses, then their total."""
        return [*map(float, result.losses), float(result.total)]

    def close(self):
        """End the team."""
        self.engine.close()


def make(task):
    """Our step on a cell."""
    return Ours(Cell.from_json(task))
