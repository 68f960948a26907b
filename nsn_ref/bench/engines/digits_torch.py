"""Digits in PyTorch, eager: the same parameters at the start, batches, ranks, rates and clipping."""

from nsn_ref.bench import recipe
from nsn_ref.bench.engines import Steps
from nsn_ref.bench.engines.torch_eager import objective, optimizer, tensors
from nsn_ref.training.step import start


class Digits(Steps):
    """A training as one step."""

    def __init__(self, epochs, threads):
        import torch

        torch.set_num_threads(threads)
        scans = recipe.scans()
        self.config = recipe.config(epochs)
        self.x, self.labels = torch.tensor(scans.x_train), torch.tensor(scans.y_train)

    def step(self, i):
        """Train; the losses of every step, and the parameters."""
        import torch

        config, net = self.config, recipe.network()
        params = tensors(start(net, config).params)
        adamw = optimizer(params, config.lr, config.weight_decay, config.lr_s)
        *weights, s = adamw.param_groups
        clipped = [p for name, p in params.items() if name != "s"]
        found = []
        for batch in recipe.batches(config):
            rows = torch.from_numpy(batch.rows)
            total, losses = objective(params, len(net.widths) - 1, self.x[rows], self.labels[rows], batch.ranks)
            adamw.zero_grad(set_to_none=True)
            total.backward()
            torch.nn.utils.clip_grad_norm_(clipped, config.clip)
            for group in weights:
                group["lr"] = batch.lr
            s["lr"] = batch.lr_s
            adamw.step()
            found.append(torch.stack(losses).detach())
        return found, params

    def read(self, result):
        """As `recipe.outcome`."""
        losses, params = result
        params = {name: p.detach().numpy() for name, p in params.items()}
        return recipe.outcome([step.tolist() for step in losses], params)


def make(task):
    """PyTorch's training."""
    return Digits(task["epochs"], task["threads"])
