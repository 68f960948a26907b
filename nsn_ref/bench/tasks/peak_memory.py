"""How far a training run raises the resident memory of a process that has done nothing else."""

import gc
from pathlib import Path

import numpy as np

from nsn_ref.bench.cells import Cell
from nsn_ref.bench.engines import Steps
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.loop import train

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident(key):
    """VmRSS, or VmHWM, the highest since it was last cleared, in bytes."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(key))
    return 1024 * int(line.split()[1])


class Growth(Steps):
    """A run of a cell; modules and compiled code are loaded by a tiny one before."""

    def __init__(self, cell, steps):
        options = {"batch_size": cell.rows, "variants": cell.ranks[1:], "dtype": cell.dtype}
        self.cell, self.config = cell, TrainConfig(steps=steps, **options)
        tiny = Cell((5, 7, 3), 3, (3, 1), 2)
        train(tiny.net(), _rows(tiny), TrainConfig(steps=2, batch_size=tiny.rows, variants=(1,)), progress=False)
        self.data = _rows(cell)

    def step(self, i):
        """Train; the growth at its highest, in bytes."""
        gc.collect()
        CLEAR.write_text("5")  # the highest mark starts again from here
        before = resident("VmRSS")
        train(self.cell.net(), self.data, self.config, progress=False)
        return resident("VmHWM") - before

    def read(self, result):
        """The bytes."""
        return [float(result)]


def _rows(cell):
    """Four batches of data."""
    rng, count = np.random.default_rng(0), 4 * cell.rows
    x = rng.standard_normal((count, cell.widths[0])).astype(cell.dtype)
    return x, rng.integers(0, cell.widths[-1], count)


def make(task):
    """The run of a task: its cell and its number of steps."""
    return Growth(Cell.from_json(task["cell"]), task["steps"])
