"""Whitened SVD: one dense network, trained alone; its layers factorised by what they see, and cut."""

import numpy as np

from nsn_ref import ops
from nsn_ref.experiments.comparators.family import Family, at_ranks, size
from nsn_ref.experiments.comparators.fit import fit
from nsn_ref.experiments.digits import ALONE
from nsn_ref.nets.mlp import MLP
from nsn_ref.surgery.factorise import factorise_whitened


def train(split, setting, seed):
    """One training of a dense network, and no step after the factorisation.

    Source: SVD-LLM, arXiv:2403.07378, sec. 3.1.
    """
    widths = (setting.d_in, *setting.hidden, setting.classes)
    params, training = fit(MLP(widths, 1, nested=(False,) * (len(widths) - 1)), split, setting, seed, **ALONE)
    net = MLP(widths, setting.R, cap=True)
    return Family(at_ranks(net, factorised(net, params, split.x_train), setting.ranks), training, size(net))


def factorised(net, params, x):
    """Factors of every hidden layer, the best ones for the inputs that the rows `x` give it."""
    own = {name: params[name] for name in net.shapes() if name in params} | {"s": np.zeros(net.R, x.dtype)}
    for layer in net.nested_layers:
        W, b = params[f"{layer.key}.W"], params[f"{layer.key}.b"]
        own[f"{layer.key}.A"], own[f"{layer.key}.B"] = factorise_whitened(W, x.T @ x, layer.R)
        x, _ = ops.relu_forward(ops.dense_forward(x, W, b)[0])
    return own
