"""Adapters beside frozen layers: the merged network is the same function, and what is frozen has no gradient."""

import numpy as np
import pytest
from comparator_formulas import assert_gradients, cross_entropy, float64, perceptron

from nsn_ref import ops
from nsn_ref.experiments.comparators.adapters import (
    adapted_backward,
    adapted_cost,
    adapted_forward,
    merged,
    pretrained,
    start,
    stored,
)


@pytest.fixture
def frozen(setting, rng):
    """Random frozen layers, float64."""
    shapes = {"layers.0.W": (13, 7), "layers.0.b": (13,), "layers.1.W": (11, 13), "layers.1.b": (11,)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_forward_and_backward(setting, batch, frozen, rng, rank):
    x, labels = batch
    params = float64(start(setting, 5, 0))

    def loss(p):
        pairs = [
            (frozen[f"layers.{i}.W"] + 2.5 * p[f"layers.{i}.B"][:, :rank] @ p[f"layers.{i}.A"][:rank],
             frozen[f"layers.{i}.b"])
            for i in range(2)
        ]  # fmt: skip
        return cross_entropy(perceptron([*pairs, (p["head.W"], p["head.b"])], x), labels)

    logits, saved = adapted_forward(frozen, params, x, rank, 2.5)
    value, context = ops.softmax_cross_entropy_forward(logits, labels)
    assert np.isclose(value, loss(params), rtol=1e-13)
    grads = adapted_backward(ops.softmax_cross_entropy_backward(np.float64(1), context), saved)
    assert grads.keys() == params.keys()
    assert_gradients(grads, loss, params, rng)


def test_merging_changes_the_cost_and_not_the_function(setting, batch, frozen):
    x, _ = batch
    params = float64(start(setting, 5, 0))
    for rank in setting.ranks:
        logits, _ = adapted_forward(frozen, params, x, rank, 2.5)
        member = merged(setting, frozen, params, rank, 2.5)
        own = {name: p.astype(np.float64) for name, p in member.params.items()}
        assert np.allclose(member.net.forward(own, x, 1)[0], logits, rtol=1e-12, atol=1e-12)
        assert member.multiply_adds == 7 * 13 + 13 * 11 + 11 * 3


def test_adapters_start_as_nothing(setting):
    params = start(setting, 5, 0)
    assert (params["layers.0.B"] == 0).all() and (params["layers.1.B"] == 0).all()
    assert params["layers.1.A"].shape == (5, 13) and (params["layers.1.A"] != 0).all()


def test_frozen_layers_learn_to_return_their_input(setting, rows):
    layers, training = pretrained(rows, setting, 0)
    assert {name: p.shape for name, p in layers.items()} == {
        "layers.0.W": (13, 7), "layers.0.b": (13,), "layers.1.W": (11, 13), "layers.1.b": (11,),
    }  # fmt: skip
    assert training == 3 * 80 * 3 * (7 * 13 + 13 * 11 + 11 * 7)
    assert stored(layers) == 7 * 13 + 13 + 13 * 11 + 11
    shuffled = rows._replace(y_train=rows.y_train[::-1])
    assert all((p == layers[name]).all() for name, p in pretrained(shuffled, setting, 0)[0].items())


def test_a_frozen_weight_costs_two_products_an_adapter_three(setting):
    frozen, adapters = 7 * 13 + 13 * 11, 3 * (7 + 13) + 3 * (13 + 11)
    assert adapted_cost(setting, 3) == 2 * frozen + 3 * (adapters + 11 * 3)
