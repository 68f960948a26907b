"""Training at many widths: gradients, members, and what is counted."""

import numpy as np
from comparator_formulas import assert_gradients, at_width, cross_entropy, float64

from nsn_ref.experiments.comparators.setting import Setting
from nsn_ref.experiments.comparators.widths import gradients, on_labels, train_widths


def test_gradients_are_those_of_the_sum_of_the_losses(setting, batch, rng):
    x, labels = batch
    net = setting.dense(11)
    params = float64(net.init(rng))
    asked = gradients(setting, net, params, x, labels, (11, 5, 5, 8), on_labels)

    def loss(p):
        return sum(cross_entropy(at_width(p, x, w), labels) for w in (11, 5, 5, 8))

    assert_gradients(asked.grads, loss, params, rng)
    assert asked.multiply_adds == 3 * sum(7 * w + w * w + 3 * w for w in (11, 5, 5, 8))


def test_members_are_prefixes_of_one_network(setting, rows):
    family = train_widths(rows, setting, 0, lambda rng, progress: [11], on_labels)
    wide = family.members[-1].params
    for width, member in zip(setting.widths, family.members, strict=True):
        expected = at_width({name: p for name, p in wide.items() if name != "s"}, rows.x_test, width)
        assert np.allclose(member.predictor()(rows.x_test), expected, rtol=1e-4, atol=1e-5)
    assert family.stored == 7 * 11 + 11 + 11 * 11 + 11 + 3 * 11 + 3
    assert family.training == 3 * 80 * 3 * (7 * 11 + 11 * 11 + 3 * 11)


def test_untrained_units_decay_and_trained_ones_learn(rows):
    setting = Setting(d_in=7, classes=3, hidden=(13, 11), ranks=(1, 5), epochs=20)
    small, _ = setting.widths
    family = train_widths(rows, setting, 0, lambda rng, progress: [small], on_labels)
    assert family.members[0].accuracy(rows.x_test, rows.y_test) > 0.6
