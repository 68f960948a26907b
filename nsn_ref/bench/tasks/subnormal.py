"""Our step on a batch whose gradients are subnormal, as those of a batch fitted to the last digit may be."""

import numpy as np

from nsn_ref.bench.cells import Cell
from nsn_ref.bench.engines import Steps
from nsn_ref.kernels.step import MLPStep, adamw_rates


class Fitted(Steps):
    """Steps with a learning rate of 0 on rows of one class, whose logit lies above the others by about `gap`."""

    def __init__(self, cell, gap):
        params, batches = cell.data()
        head = f"layers.{len(cell.widths) - 2}"
        params[f"{head}.W"] /= 1000
        params[f"{head}.b"][0] = gap
        self.x, self.labels, self.ranks = batches[0][0], np.zeros(cell.rows, np.int64), cell.ranks
        self.engine = MLPStep(cell.net(), cell.dtype, rows=cell.rows, threads=cell.threads)
        self.engine.load(params, {}, {})

    def step(self, i):
        """One step, which changes the moments alone."""
        return self.engine.step(self.x, self.labels, self.ranks, (adamw_rates(i + 1, lr=0.0),) * 2)

    def read(self, result):
        """The share of the gradients that is not zero and below the smallest normal number."""
        grads = np.concatenate([np.abs(g).reshape(-1) for g in self.engine.grads.values()])
        return [float(((grads > 0) & (grads < np.finfo(grads.dtype).tiny)).mean())]

    def close(self):
        """End the team."""
        self.engine.close()


def make(task):
    """The steps of a task: its cell and its gap."""
    return Fitted(Cell.from_json(task["cell"]), task["gap"])
