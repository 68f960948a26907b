"""PyTorch, eager: slices of the factors, autograd, fused AdamW."""

from nsn_ref.bench.cells import Cell
from nsn_ref.bench.engines import Steps


def losses_at_ranks(params, layers, x, labels, ranks):
    """The loss at each rank; `params` is a dict of tensors, `layers` the number of those with parameters."""
    from torch.nn.functional import cross_entropy

    return [cross_entropy(logits(params, layers, x, rank), labels) for rank in ranks]


def logits(params, layers, x, rank):
    """The logits of a perceptron, or, where x are images, of a convolutional net."""
    from torch.nn.functional import avg_pool2d, conv2d, linear, relu

    h, images = x, x.ndim == 4
    for i in range(layers - 1):
        A, B, b = (params[f"layers.{i}.{name}"] for name in "ABb")
        A, B = A[:rank], B[:, :rank]
        if images:
            h = h if i == 0 else avg_pool2d(h, 2)
            h = relu(conv2d(conv2d(h, A, padding=A.shape[-1] // 2), B[:, :, None, None], b))
        else:
            h = relu(linear(linear(h, A), B, b))
    h = h.mean((2, 3)) if images else h
    return linear(h, params[f"layers.{layers - 1}.W"], params[f"layers.{layers - 1}.b"])


def objective(params, layers, x, labels, ranks):
    """The total under the learned-uncertainty objective, and the losses."""
    losses, s = losses_at_ranks(params, layers, x, labels, ranks), params["s"]
    total = sum((-s[rank - 1]).exp() * loss + s[rank - 1] for rank, loss in zip(ranks, losses, strict=True))
    return total, losses


def tensors(params):
    """Parameters that require gradients."""
    import torch

    return {name: torch.tensor(p, requires_grad=True) for name, p in params.items()}


def optimizer(params, lr, weight_decay, lr_s=None, eps=1e-8):
    """Fused AdamW: A, B and W decay; the log-variances are the last group, with a rate of their own if given."""
    import torch

    decays = [p for name, p in params.items() if name.endswith((".A", ".B", ".W"))]
    stay = [p for name, p in params.items() if name.endswith(".b")]
    groups = [{"params": decays, "weight_decay": weight_decay}, {"params": stay}]
    if lr_s is None:
        stay.append(params["s"])
    else:
        groups.append({"params": [params["s"]], "lr": lr_s})
    return torch.optim.AdamW(groups, lr=lr, weight_decay=0.0, eps=eps, fused=True)


class Torch(Steps):
    """A step in PyTorch on a cell."""

    def __init__(self, cell, objective=objective):
        import torch

        torch.set_num_threads(cell.threads)
        params, batches = cell.data()
        self.params, self.cell, self.objective = tensors(params), cell, objective
        self.optimizer = optimizer(self.params, cell.lr, cell.weight_decay, eps=cell.eps)
        self.batches = [(torch.tensor(x), torch.tensor(labels)) for x, labels in batches]

    def step(self, i):
        """One step."""
        x, labels = self.batches[i % len(self.batches)]
        total, losses = self.objective(self.params, len(self.cell.widths) - 1, x, labels, self.cell.ranks)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer.step()
        return total, losses

    def read(self, result):
        """The losses, then their total."""
        total, losses = result
        return [*(loss.item() for loss in losses), total.item()]


def make(task):
    """PyTorch's step on a cell."""
    return Torch(Cell.from_json(task))
