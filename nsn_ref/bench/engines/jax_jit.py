"""JAX: the whole step is one jitted function, which is given its buffers to reuse."""

import math
import os

from nsn_ref.bench.cells import Cell
from nsn_ref.bench.engines import Steps

BETA1, BETA2 = 0.9, 0.999


def logits(params, layers, x, rank):
    """The logits of a perceptron, or, where x are images, of a convolutional net."""
    import jax
    import jax.numpy as jnp

    h, images = x, x.ndim == 4
    for i in range(layers - 1):
        A, B, b = (params[f"layers.{i}.{name}"] for name in "ABb")
        A, B = A[:rank], B[:, :rank]
        if images:
            n, c, height, width = h.shape
            h = h if i == 0 else h.reshape(n, c, height // 2, 2, width // 2, 2).mean((3, 5))
            z = jax.lax.conv_general_dilated(h, A, (1, 1), "SAME")
            h = jax.nn.relu(jnp.einsum("nrhw,or->nohw", z, B) + b[:, None, None])
        else:
            h = jax.nn.relu((h @ A.T) @ B.T + b)
    h = h.mean((2, 3)) if images else h
    return h @ params[f"layers.{layers - 1}.W"].T + params[f"layers.{layers - 1}.b"]


def cross_entropy(z, labels):
    """The mean cross-entropy of labels."""
    import jax
    import jax.numpy as jnp

    return -jnp.take_along_axis(jax.nn.log_softmax(z), labels[:, None], 1).mean()


def _objective(params, layers, x, labels, ranks):
    import jax.numpy as jnp

    losses = [cross_entropy(logits(params, layers, x, rank), labels) for rank in ranks]
    s = params["s"]
    total = sum(jnp.exp(-s[rank - 1]) * loss + s[rank - 1] for rank, loss in zip(ranks, losses, strict=True))
    return total, losses


def _update(cell, params, m, v, t, x, labels):
    import jax
    import jax.numpy as jnp

    layers = len(cell.widths) - 1
    (total, losses), g = jax.value_and_grad(_objective, has_aux=True)(params, layers, x, labels, cell.ranks)
    t = t + 1
    m = {name: BETA1 * m[name] + (1 - BETA1) * g[name] for name in g}
    v = {name: BETA2 * v[name] + (1 - BETA2) * g[name] * g[name] for name in g}
    correction1, correction2 = (-jnp.expm1(t * math.log(beta)) for beta in (BETA1, BETA2))  # 1 - beta^t, all digits
    decay = {name: cell.lr * cell.weight_decay if name.endswith((".A", ".B", ".W")) else 0.0 for name in g}
    params = {
        name: p * (1 - decay[name])
        - cell.lr * (m[name] / correction1) / (jnp.sqrt(v[name] / correction2) + cell.eps)
        for name, p in params.items()
    }  # fmt: skip
    return (params, m, v, t), (total, losses)


def configure(cell):
    """Give JAX the cell's threads and number type; before its first array."""
    threads = "true" if cell.threads > 1 else "false"
    os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={threads} intra_op_parallelism_threads={cell.threads}"
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    jax.config.update("jax_enable_x64", cell.dtype == "float64")


class Jax(Steps):
    """A step in JAX on a cell."""

    def __init__(self, cell):
        configure(cell)
        import jax
        import jax.numpy as jnp

        params, batches = cell.data()
        self.batches = [(jnp.asarray(x), jnp.asarray(labels)) for x, labels in batches]
        params = {name: jnp.asarray(p) for name, p in params.items()}
        zeros = [{name: jnp.zeros_like(p) for name, p in params.items()} for _ in range(2)]
        self.state = params, *zeros, jnp.asarray(0.0, cell.dtype)

        def update(state, x, labels):
            return _update(cell, *state, x, labels)

        self.update = jax.jit(update, donate_argnums=0)

    def step(self, i):
        """One step; JAX goes on while it is computed."""
        self.state, result = self.update(self.state, *self.batches[i % len(self.batches)])
        return result

    def wait(self, result):
        """Return once the step is done, its update too."""
        import jax

        jax.block_until_ready((result, self.state))

    def read(self, result):
        """The losses, then their total."""
        total, losses = result
        return [*map(float, losses), float(total)]


def make(task):
    """JAX's step on a cell."""
    return Jax(Cell.from_json(task))
