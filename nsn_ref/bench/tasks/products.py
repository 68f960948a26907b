"""The products of a step alone: what the step would take if all other work were free.

The passes are those of the compiled step. They also add up what the ranks of the first layer share, and the gradients
of biases; that is counted here.
"""

import numpy as np

from nsn_ref.bench.cells import Cell
from nsn_ref.bench.engines import Steps
from nsn_ref.kernels.common import compiled
from nsn_ref.kernels.step import MLPStep, adamw_rates
from nsn_ref.kernels.step.layout import DH, NESTED, SHARES
from nsn_ref.kernels.step.passes import dense_backward, dense_forward, nested_backward, nested_forward, own
from nsn_ref.kernels.step.step import gradients, own_gradients
from nsn_ref.kernels.step.team import Team, rows_of


@compiled
def products(member, model, ranks, batch, count):
    """One member's share of the products of `count` steps."""
    mine, n = own(model.space, member.me), rows_of(member.me, member.threads, batch)
    for _ in range(count):
        forward_products(model, mine, ranks, n)
        backward_products(model, mine, ranks, n)
        own_gradients(member, model, ranks, n, True)
        gradients(member, model, ranks, batch)


@compiled
def forward_products(model, mine, ranks, n):
    """As `step.forward`, without biases and activations."""
    rows = n
    for i in range(len(model.layers)):
        layer = model.layers[i]
        if layer[NESTED]:
            nested_forward(mine, layer, ranks, n)
            rows = n * ranks.size
        else:
            dense_forward(mine, layer, rows)


@compiled
def backward_products(model, mine, ranks, n):
    """As `step.backward`, without activations."""
    rows = n * ranks.size
    for i in range(len(model.layers) - 1, -1, -1):
        layer = model.layers[i]
        if layer[NESTED]:
            nested_backward(mine, layer, ranks, n, layer[DH])
            rows = n if layer[SHARES] else rows
        elif i > 0:
            dense_backward(mine, layer, rows, layer[DH])


class Products(Steps):
    """The products of a cell, on buffers of a real step."""

    def __init__(self, cell):
        self.cell = cell
        params, batches = cell.data()
        options = {"rows": cell.rows, "ranks": len(cell.ranks), "threads": cell.threads}
        with MLPStep(cell.net(), cell.dtype, **options) as engine:
            engine.load(params, {}, {})
            engine.step(*batches[0], cell.ranks, (adamw_rates(1, lr=0.0),) * 2)  # fills the buffers
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
