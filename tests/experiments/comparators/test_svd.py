"""Whitened SVD: the dense network at full rank; below it, the smallest error of each layer's outputs."""

import numpy as np

from nsn_ref.experiments.comparators import svd
from nsn_ref.experiments.digits import ALONE
from nsn_ref.nets.mlp import MLP
from nsn_ref.training.loop import train as train_network


def test_the_full_rank_is_the_dense_network_and_each_rank_the_best(setting, rng):
    x = rng.standard_normal((50, 7))
    dense = MLP((7, 13, 11, 3), 1, nested=(False,) * 3)
    params = dense.init(rng, np.float64)
    net = MLP((7, 13, 11, 3), 11, cap=True)
    own = svd.factorised(net, params, x)
    assert np.allclose(net.forward(own, x, 11)[0], dense.forward(params, x, 1)[0], rtol=1e-9, atol=1e-9)
    for i in range(2):
        W, A, B = params[f"layers.{i}.W"], own[f"layers.{i}.A"], own[f"layers.{i}.B"]
        outputs = x @ W.T
        smallest = np.linalg.svd(outputs, compute_uv=False)  # no matrix of rank r is nearer to them (Eckart-Young)
        for r in setting.ranks:
            error = np.linalg.norm(outputs - x @ A[:r].T @ B[:, :r].T)
            assert np.isclose(error, np.sqrt((smallest[r:] ** 2).sum()), rtol=1e-9)
        x = np.maximum(outputs + params[f"layers.{i}.b"], 0)


def test_only_the_dense_network_is_trained(setting, rows):
    family = svd.train(rows, setting, 2)
    dense = MLP((7, 13, 11, 3), 1, nested=(False,) * 3)
    run = train_network(dense, (rows.x_train, rows.y_train), setting.config(rows, 2, **ALONE), progress=False)
    assert family.training == 3 * 80 * 3 * (7 * 13 + 13 * 11 + 11 * 3)
    for member in family.members:
        for name in ("layers.0.b", "layers.1.b", "layers.2.W", "layers.2.b"):
            assert (member.params[name] == run.params[name]).all()
    assert family.stored == 5 * (7 + 13) + 13 + 5 * (13 + 11) + 11 + 11 * 3 + 3
