"""SortedNet: uniform draws among all ranks, the mean of their gradients."""

from collections import Counter

import numpy as np
from comparator_formulas import assert_gradients, at_rank, cross_entropy, float64

from nsn_ref.experiments.comparators import sortednet
from nsn_ref.experiments.comparators.setting import Setting


def test_gradients_are_those_of_the_mean_of_the_losses(setting, batch, rng):
    x, labels = batch
    net = setting.nested(5)
    params = float64(net.init(rng))
    for ranks in ([3, 5], [1, 1], [5, 3, 1]):
        asked = sortednet.gradients(net, params, x, labels, ranks)

        def loss(p, ranks=ranks):
            return sum(cross_entropy(at_rank(p, x, r), labels) for r in ranks) / len(ranks)

        assert_gradients(asked.grads, loss, params, rng)
        assert (asked.grads["s"] == 0).all()
        assert asked.multiply_adds == 3 * sum(r * (7 + 13) + r * (13 + 11) + 11 * 3 for r in ranks)


def test_draws_are_uniform_over_all_ranks_and_independent(rows, recorded):
    setting = Setting(d_in=7, classes=3, hidden=(13,), ranks=(1, 3, 5), epochs=300)
    drawn = recorded(sortednet, "gradients", 4)
    sortednet.train(rows, setting, 0)
    counts = Counter(map(tuple, drawn))
    assert len(drawn) == 600 and len(counts) == 9  # each pair has the probability 1 / 9
    expected = 600 / 9
    chi_squared = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_squared < 26.1  # exceeded once in a thousand seeds, at 8 degrees of freedom


def test_one_set_of_weights(setting, rows):
    family = sortednet.train(rows, setting, 0, draws=3)
    assert len({id(member.params) for member in family.members}) == 1
    assert np.isfinite(family.members[0].params["layers.0.A"]).all()
