"""PyTorch at one rank after another, without gradients."""

from nsn_ref.bench.cells import Cell
from nsn_ref.bench.engines import Steps
from nsn_ref.bench.engines.torch_eager import logits


class Loop(Steps):
    """The losses of a network on a batch, rank by rank."""

    def __init__(self, cell):
        import torch

        torch.set_num_threads(cell.threads)
        params, batches = cell.data()
        self.params, self.cell = {name: torch.tensor(p) for name, p in params.items()}, cell
        self.batches = [(torch.tensor(x), torch.tensor(labels)) for x, labels in batches]

    def step(self, i):
        """One batch at every rank; the share of rows that are right is found too, as ours finds it."""
        import torch

        x, labels = self.batches[i % len(self.batches)]
        losses = []
        with torch.inference_mode():
            for rank in range(1, self.cell.R + 1):
                z = logits(self.params, len(self.cell.widths) - 1, x, rank)
                (z.argmax(1) == labels).float().mean()
                losses.append(torch.nn.functional.cross_entropy(z, labels))
        return losses

    def read(self, result):
        """The losses."""
        return [loss.item() for loss in result]


def make(task):
    """PyTorch's evaluation of a cell."""
    return Loop(Cell.from_json(task))
