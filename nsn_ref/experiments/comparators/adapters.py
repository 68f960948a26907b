"""Low-rank adapters beside frozen dense layers: y = W_0 x + b_0 + scale B_r A_r x, with a head of their own.

The frozen layers come from a dense network of the nested one's widths that was trained to return its input.
"""

import itertools
import math

import numpy as np

from nsn_ref import kernels
from nsn_ref.experiments.comparators.family import Member
from nsn_ref.experiments.comparators.fit import fit
from nsn_ref.experiments.comparators.setting import PASSES
from nsn_ref.experiments.digits import ALONE
from nsn_ref.nets.layers import random_matrix
from nsn_ref.nets.mlp import MLP
from nsn_ref.training import samplers


def pretrained(split, setting, seed):
    """Hidden layers of a network that returns its input, and the multiply-adds of their training.

    It sees rows and no labels: what it has learned is general, and its head is of no use afterwards.
    """
    net = MLP((setting.d_in, *setting.hidden, setting.d_in), 1, nested=(False,) * (len(setting.hidden) + 1))
    options = {"targets": split.x_train, "loss": "mean_squared_error"} | ALONE
    params, training = fit(net, split, setting, seed, **options)
    hidden = tuple(f"layers.{i}." for i in range(len(setting.hidden)))
    return {name: p for name, p in params.items() if name.startswith(hidden)}, training


def start(setting, R, seed):
    """What is trained, at its start: A ~ N(0, 1 / d_in) and B = 0 of every hidden layer, and a random head."""
    rng, (*hidden, head) = samplers.generator(seed, "parameters"), _shapes(setting)
    params = {}
    for i, (d_in, d_out) in enumerate(hidden):
        params |= {f"layers.{i}.A": random_matrix(rng, R, d_in, 1), f"layers.{i}.B": np.zeros((d_out, R))}
    params |= {"head.W": random_matrix(rng, head[1], head[0], 1), "head.b": np.zeros(head[1])}
    return {name: p.astype(np.float32) for name, p in params.items()}


def adapted_forward(frozen, params, x, rank, scale):
    """Logits, and what `adapted_backward` needs."""
    contexts = []
    for i in range(len(frozen) // 2):
        W, b, A, B = frozen[f"layers.{i}.W"], frozen[f"layers.{i}.b"], params[f"layers.{i}.A"], params[f"layers.{i}.B"]
        base, dense = kernels.dense_forward(x, W, b)
        low, nested = kernels.nested_linear_forward(x, A, B, np.zeros_like(b), rank)
        x, relu = kernels.relu_forward(base + low * x.dtype.type(scale))
        contexts.append((dense, nested, relu))
    logits, head = kernels.dense_forward(x, params["head.W"], params["head.b"])
    return logits, (contexts, head, scale)


def adapted_backward(dlogits, saved):
    """Gradients of the adapters and of the head; what is frozen has none."""
    contexts, head, scale = saved
    dy, dW, db = kernels.dense_backward(dlogits, head)
    grads = {"head.W": dW, "head.b": db}
    for i, (dense, nested, relu) in reversed(list(enumerate(contexts))):
        dy = kernels.relu_backward(dy, relu)
        through, dA, dB, _ = kernels.nested_linear_backward(dy * dy.dtype.type(scale), nested)
        grads |= {f"layers.{i}.A": dA, f"layers.{i}.B": dB}
        dy = through + dy @ dense.W  # base = x @ W.T + b
    return grads


def merged(setting, frozen, params, rank, scale):
    """The adapters added to the frozen layers: a dense network, of one cost at every rank."""
    net = MLP((setting.d_in, *setting.hidden, setting.classes), 1, nested=(False,) * (len(setting.hidden) + 1))
    own = frozen | {f"layers.{len(setting.hidden)}.{name}": params[f"head.{name}"] for name in "Wb"}
    for i in range(len(setting.hidden)):
        A, B = params[f"layers.{i}.A"][:rank], params[f"layers.{i}.B"][:, :rank]
        own[f"layers.{i}.W"] = frozen[f"layers.{i}.W"] + A.dtype.type(scale) * (B @ A)
    return Member(net, own | {"s": np.zeros(1, np.float32)}, 1)


def adapted_cost(setting, rank):
    """Multiply-adds of one row in a step: frozen weights have no gradient, so they cost a pass less than the rest."""
    *hidden, head = _shapes(setting)
    frozen = sum(d_in * d_out for d_in, d_out in hidden)
    adapters = sum(rank * (d_in + d_out) for d_in, d_out in hidden)
    return (PASSES - 1) * frozen + PASSES * (adapters + math.prod(head))


def stored(*groups):
    """Numbers in dicts of parameters."""
    return sum(p.size for params in groups for p in params.values())


def _shapes(setting):
    """(d_in, d_out) of every layer."""
    return list(itertools.pairwise((setting.d_in, *setting.hidden, setting.classes)))
