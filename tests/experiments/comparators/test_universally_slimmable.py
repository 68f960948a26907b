"""A universally slimmable network: the sandwich rule over all widths, distilled."""

import numpy as np
from comparator_formulas import assert_gradients, at_width, cross_entropy, float64, softmax

from nsn_ref.experiments.comparators import universally_slimmable, widths
from nsn_ref.experiments.comparators.setting import Setting


def test_gradients_are_those_of_the_distilled_sum(setting, batch, rng):
    x, labels = batch
    net = setting.dense(11)
    params = float64(net.init(rng))
    drawn = [11, 5, 9, 6]
    teacher = softmax(at_width(params, x, 11))

    def loss(p):
        return sum(cross_entropy(at_width(p, x, w), teacher if k else labels) for k, w in enumerate(drawn))

    asked = widths.gradients(setting, net, params, x, labels, drawn, universally_slimmable.distilled)
    assert_gradients(asked.grads, loss, params, rng)


def test_steps_follow_the_sandwich_rule_over_every_width(rows, recorded):
    setting = Setting(d_in=7, classes=3, hidden=(13, 11), ranks=(1, 3, 5), epochs=40)
    drawn = recorded(widths, "gradients", 5)
    universally_slimmable.train(rows, setting, 0)
    smallest, largest = setting.widths[0], setting.widths[-1]
    assert len(drawn) == 80 and all(w[:2] == [largest, smallest] and len(w) == 4 for w in drawn)
    assert {w for each in drawn for w in each[2:]} == set(range(smallest, largest + 1))


def test_any_width_runs(setting, rows):
    family = universally_slimmable.train(rows, setting, 0, count=3)
    assert all(np.isfinite(member.predictor()(rows.x_test)).all() for member in family.members)
