"""NSN with sandwich and distillation: Eq. 3 over distilled losses."""

import numpy as np
from comparator_formulas import assert_gradients, at_rank, cross_entropy, float64, softmax

from nsn_ref.experiments.comparators import nsn_sandwich


def test_gradients_are_those_of_eq_3_with_a_constant_teacher(setting, batch, rng):
    x, labels = batch
    net = setting.nested(5)
    params = float64(net.init(rng))
    ranks = [5, 1, 3, 3]
    teacher = softmax(at_rank(params, x, 5))

    def loss(p):
        losses = [cross_entropy(at_rank(p, x, r), teacher if k else labels) for k, r in enumerate(ranks)]
        return sum(np.exp(-p["s"][r - 1]) * L + p["s"][r - 1] for r, L in zip(ranks, losses, strict=True))

    asked = nsn_sandwich.gradients(net, params, x, labels, ranks)
    assert_gradients(asked.grads, loss, params, rng)
    assert asked.multiply_adds == 3 * sum(r * (7 + 13) + r * (13 + 11) + 11 * 3 for r in ranks)


def test_steps_follow_the_sandwich_rule_over_the_budgets_ranks(setting, rows, recorded):
    drawn = recorded(nsn_sandwich, "gradients", 4)
    family = nsn_sandwich.train(rows, setting, 1)
    assert len(drawn) == 6 and all(ranks == [5, 1, 3, 3] for ranks in drawn)
    assert (family.members[0].params["s"][[0, 2, 4]] != 0).all()
    assert [member.rank for member in family.members] == [1, 3, 5]
