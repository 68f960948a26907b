"""Matryoshka heads: every prefix of the last hidden layer at every step, on the labels, by one head."""

import numpy as np
from comparator_formulas import assert_gradients, cross_entropy, float64, perceptron

from nsn_ref.experiments.comparators import matryoshka, widths


def classified(params, x, count):
    """Logits of the head's first `count` columns on the first `count` numbers of the representation."""
    *layers, (W, b) = ((params[f"layers.{i}.W"], params[f"layers.{i}.b"]) for i in range(3))
    z = perceptron(layers, x)
    return np.where(z.real > 0, z, 0)[:, :count] @ W[:, :count].T + b


def test_gradients_are_those_of_the_sum_over_prefixes(setting, batch, rng):
    x, labels = batch
    net = setting.dense(setting.hidden)
    params = float64(net.init(rng))
    asked = widths.gradients(setting, net, params, x, labels, matryoshka.prefixes(setting), widths.on_labels)
    assert_gradients(
        asked.grads, lambda p: sum(cross_entropy(classified(p, x, m), labels) for m in (1, 3, 11)), params, rng
    )


def test_members_share_the_layers_before_the_representation(setting, rows, recorded):
    drawn = recorded(widths, "gradients", 5)
    family = matryoshka.train(rows, setting, 0)
    assert drawn == [[(13, 1), (13, 3), (13, 11)]] * 6
    params = family.members[-1].params
    for count, member in zip((1, 3, 11), family.members, strict=True):
        expected = classified(params, rows.x_test, count)
        assert np.allclose(member.predictor()(rows.x_test), expected, rtol=1e-4, atol=1e-5)
    assert family.stored == 7 * 13 + 13 + 13 * 11 + 11 + 3 * 11 + 3
    assert family.training == 3 * 80 * 3 * sum(7 * 13 + 13 * m + 3 * m for m in (1, 3, 11))


def test_a_rank_above_the_width_takes_all_of_it(setting):
    from dataclasses import replace

    assert matryoshka.prefixes(replace(setting, ranks=(2, 12, 13))) == [(13, 2), (13, 11), (13, 11)]
