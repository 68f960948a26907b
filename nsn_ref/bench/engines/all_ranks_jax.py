"""JAX at one rank after another: shapes are compiled in, so each rank is a function of its own."""

import functools

from nsn_ref.bench.cells import Cell
from nsn_ref.bench.engines import Steps
from nsn_ref.bench.engines.jax_jit import configure, cross_entropy, logits


class Loop(Steps):
    """The losses of a network on a batch, rank by rank."""

    def __init__(self, cell):
        configure(cell)
        import jax
        import jax.numpy as jnp

        params, batches = cell.data()
        self.params, self.R = {name: jnp.asarray(p) for name, p in params.items()}, cell.R
        self.batches = [(jnp.asarray(x), jnp.asarray(labels)) for x, labels in batches]

        @functools.partial(jax.jit, static_argnums=3)
        def scores(params, x, labels, rank):
            z = logits(params, len(cell.widths) - 1, x, rank)
            return cross_entropy(z, labels), (z.argmax(1) == labels).mean()

        self.scores = scores

    def step(self, i):
        """One batch at every rank; JAX goes on while it is computed."""
        x, labels = self.batches[i % len(self.batches)]
        return [self.scores(self.params, x, labels, rank) for rank in range(1, self.R + 1)]

    def wait(self, result):
        """Return once every rank is done."""
        import jax

        jax.block_until_ready(result)

    def read(self, result):
        """The losses."""
        return [float(loss) for loss, _ in result]


def make(task):
    """JAX's evaluation of a cell."""
    return Loop(Cell.from_json(task))
