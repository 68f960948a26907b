"""Every rank in one call: `nsn_ref.inference.scores_at_ranks`."""

from nsn_ref.bench.cells import Cell
from nsn_ref.bench.engines import Steps
from nsn_ref.inference import scores_at_ranks


class AllRanks(Steps):
    """The losses of a network on a batch, rank by rank."""

    def __init__(self, cell):
        self.net, (self.params, self.batches) = cell.net(), cell.data()

    def step(self, i):
        """One batch at every rank."""
        return scores_at_ranks(self.net, self.params, *self.batches[i % len(self.batches)]).losses

    def read(self, result):
        """The losses."""
        return [float(loss) for loss in result]


def make(task):
    """Our evaluation of a cell."""
    return AllRanks(Cell.from_json(task))
