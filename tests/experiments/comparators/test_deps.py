"""Delayed shrinking: the largest width alone at first, the others with a weight that rises."""

import functools

import pytest
from comparator_formulas import assert_gradients, at_width, cross_entropy, float64, softmax

from nsn_ref.experiments.comparators import deps, widths
from nsn_ref.experiments.comparators.setting import Setting


def test_narrower_widths_come_in_half_way(rows, recorded):
    setting = Setting(d_in=7, classes=3, hidden=(13, 11), ranks=(1, 3, 5), epochs=10)
    drawn = recorded(widths, "gradients", 5)
    deps.train(rows, setting, 0)
    assert drawn[:10] == [[11]] * 10
    assert all(w[:2] == [11, 5] and len(w) == 4 for w in drawn[10:]) and len(drawn) == 20


@pytest.mark.parametrize(("progress", "share"), [(0, 0), (0.5, 0), (0.625, 0.5), (0.75, 1), (0.99, 1)])
def test_their_weight_rises_to_one(setting, batch, rng, progress, share):
    x, labels = batch
    net = setting.dense(11)
    params = float64(net.init(rng))
    drawn, teacher = [11, 5, 8], softmax(at_width(params, x, 11))

    def loss(p):
        students = sum(cross_entropy(at_width(p, x, w), teacher) for w in drawn[1:])
        return cross_entropy(at_width(p, x, 11), labels) + share * students

    cotangents = functools.partial(deps.ramped, progress=progress)
    assert_gradients(widths.gradients(setting, net, params, x, labels, drawn, cotangents).grads, loss, params, rng)
