"""The products of a step and nothing else: what the step would take if all other work were free.

The passes are those of the compiled step. Those of the first layer add up what the ranks share, which is counted here.
"""

import numpy as np

from nsn_ref.bench.cells import Cell
from nsn_ref.bench.engines import Steps
from nsn_ref.kernels.common import compiled
from nsn_ref.kernels.step import MLPStep
from nsn_ref.kernels.step.layout import NESTED, SHARES, D
from nsn_ref.kernels.step.passes import dense_backward, dense_forward, nested_backward, nested_forward
from nsn_ref.kernels.step.team import Team, barrier


@compiled
def products(member, model, ranks, n, count):
    """One member's share of the products of `count` steps."""
    for _ in range(count):
        forward_products(member, model, ranks, n)
        backward_products(member, model, ranks, n)
        barrier(member)


@compiled
def forward_products(member, model, ranks, n):
    """As `step.forward`, without biases and activations."""
    rows = n
    for i in range(len(model.layers)):
        layer = model.layers[i]
        if layer[NESTED]:
            nested_forward(member, model.space, layer, ranks, n)
            rows = n * ranks.size
        else:
            dense_forward(member, model.space, layer, rows)
        barrier(member)


@compiled
def backward_products(member, model, ranks, n):
    """As `step.backward`, without biases and activations."""
    rows = n * ranks.size
    for i in range(len(model.layers) - 1, -1, -1):
        layer, below = model.layers[i], model.layers[max(i - 1, 0)]
        dh = below[D] if i > 0 else -1
        if layer[NESTED]:
            nested_backward(member, model.space, layer, ranks, n, model.dz, dh)
            rows = n if layer[SHARES] else rows
        else:
            dense_backward(member, model.space, layer, rows, dh)


class Products(Steps):
    """The products of a cell, on buffers of a real step."""

    def __init__(self, cell):
        self.cell = cell
        params, batches = cell.data()
        with MLPStep(cell.net(), cell.dtype, rows=cell.rows, ranks=len(cell.ranks), threads=1) as engine:
            engine.load(params, {}, {})
            engine._x[: cell.rows] = batches[0][0]
            self.model, self.grads, self.blas = engine._model, engine.grads, engine._blas
        self.blas.set_num_threads(1)

    def several(self, count):
        """Take the products of some steps."""
        team, arguments = Team(self.cell.threads), (self.model, np.array(self.cell.ranks), self.cell.rows, count)
        team.start(products, *arguments)
        products(team.member(0), *arguments)
        team.close()


def make(task):
    """The products of a cell."""
    return Products(Cell.from_json(task))
