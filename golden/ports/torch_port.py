"""The operations in PyTorch: only forwards are written, autograd and torch.optim do the rest.

    nsn-ref golden check golden/ports/torch_port.py

A port is `run(op, inputs, attrs)`: NumPy arrays in, a dict of NumPy arrays out.
"""

import os

import numpy as np
import torch
from torch.nn.functional import cross_entropy, gelu, linear, relu, softplus

DEVICE = os.environ.get("NSN_TORCH_DEVICE", "cpu")  # golden/ports/gpu_check.py sets it to "cuda"
ACTIVATIONS = {"relu": relu, "gelu": gelu, "gelu_tanh": lambda z: gelu(z, approximate="tanh")}


def run(op, inputs, attrs):
    """Outputs of one operation; an operation that is not here is not covered."""
    if op not in OPERATIONS:
        raise NotImplementedError(op)
    # torch.tensor copies: what is computed here never writes into the caller's arrays
    outputs = OPERATIONS[op]({name: torch.tensor(x, device=DEVICE) for name, x in inputs.items()}, attrs)
    return {name: np.asarray(x.detach().cpu()) for name, x in outputs.items()}


def nested_linear(x, A, B, b, rank):
    """Def. 1 of arXiv:2509.17874v1: B_r (A_r x) + b."""
    return linear(linear(x, A[:rank]), B[:, :rank], b)


def multirank_linear(x, A, B, b, ranks):
    """The layer at each rank, stacked."""
    return torch.stack([nested_linear(x, A, B, b, r) for r in ranks])


def objective(losses, s, ranks, variant):
    """Eq. 3 of arXiv:2509.17874v1, and its variants."""
    s = s[torch.tensor(ranks) - 1]
    weight = torch.exp(-s) / 2 if variant == "bounded" else torch.exp(-s)
    penalty = {"uncertainty": s, "classification": s / 2, "bounded": softplus(s, threshold=100)}[variant]
    return (weight * losses + penalty).sum()


def nested_linear_forward(t, attrs):
    """The output y."""
    return {"y": nested_linear(t["x"], t["A"], t["B"], t["b"], attrs["rank"])}


def multirank_linear_forward(t, attrs):
    """The outputs ys."""
    return {"ys": multirank_linear(t["x"], t["A"], t["B"], t["b"], attrs["ranks"])}


def objective_forward(t, attrs):
    """The total."""
    return {"total": objective(t["losses"], t["s"], attrs["ranks"], attrs["variant"])}


def backward(forward, output, cotangent, arguments):
    """The backward operation of a forward one: gradients d<name> of sum(cotangent * output)."""

    def run_backward(t, attrs):
        leaves = [t[name].requires_grad_() for name in arguments]
        grads = torch.autograd.grad(forward(t, attrs)[output], leaves, t[cotangent])
        return {f"d{name}": grad for name, grad in zip(arguments, grads, strict=True)}

    return run_backward


def mlp_step(t, attrs):
    """One training step: forward at every rank, objective, backward, AdamW."""
    params = {name.removeprefix("param."): p.requires_grad_() for name, p in t.items() if name.startswith("param.")}
    logits = torch.stack([mlp(params, t["x"], rank, attrs["activation"]) for rank in attrs["ranks"]])
    losses = torch.stack([cross_entropy(z, t["targets"]) for z in logits])
    total = objective(losses, params["s"], attrs["ranks"], attrs["variant"])
    total.backward()
    outputs = {"logits": logits, "losses": losses, "total": total}
    outputs |= {f"grad.{key}": p.grad for key, p in params.items()}
    return outputs | adamw(params, t, attrs)


def mlp(params, x, rank, activation):
    """Logits at one rank; the head is nested or dense."""
    h = nested_linear(x, *(params[f"layers.0.{name}"] for name in "ABb"), rank)
    h = ACTIVATIONS[activation](h)
    if "layers.1.W" in params:
        return linear(h, params["layers.1.W"], params["layers.1.b"])
    return nested_linear(h, *(params[f"layers.1.{name}"] for name in "ABb"), rank)


def adamw(params, t, attrs):
    """torch.optim.AdamW in the middle of a run; the log-variances have no decay."""
    decayed = [p for key, p in params.items() if key != "s"]
    groups = [{"params": decayed, "weight_decay": attrs["weight_decay"]}, {"params": [params["s"]], "weight_decay": 0}]
    optimizer = torch.optim.AdamW(groups, lr=attrs["lr"], betas=(attrs["beta1"], attrs["beta2"]), eps=attrs["eps"])
    for key, p in params.items():
        step = torch.tensor(attrs["t"] - 1.0)
        optimizer.state[p] = {"step": step, "exp_avg": t[f"m.{key}"], "exp_avg_sq": t[f"v.{key}"]}
    optimizer.step()
    outputs = {}
    for key, p in params.items():
        state = optimizer.state[p]
        outputs |= {f"param.{key}": p, f"m.{key}": state["exp_avg"], f"v.{key}": state["exp_avg_sq"]}
    return outputs


LAYER = ("x", "A", "B", "b")
OPERATIONS = {
    "nested_linear_forward": nested_linear_forward,
    "nested_linear_backward": backward(nested_linear_forward, "y", "dy", LAYER),
    "multirank_linear_forward": multirank_linear_forward,
    "multirank_linear_backward": backward(multirank_linear_forward, "ys", "dys", LAYER),
    "objective_forward": objective_forward,
    "objective_backward": backward(objective_forward, "total", "dtotal", ("losses", "s")),
    "mlp_step": mlp_step,
}
