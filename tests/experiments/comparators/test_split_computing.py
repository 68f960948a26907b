"""Split computing: every width of the first hidden layer at every step, on the labels, for one network behind it."""

import numpy as np
from comparator_formulas import assert_gradients, cross_entropy, float64, perceptron

from nsn_ref.experiments.comparators import split_computing, widths


def sent(params, x, count):
    """Logits of what is behind the first hidden layer, given the first `count` of its units."""
    first, *behind = ((params[f"layers.{i}.W"], params[f"layers.{i}.b"]) for i in range(3))
    z = x @ first[0][:count].T + first[1][:count]
    (W, b), head = behind
    return perceptron([(W[:, :count], b), head], np.where(z.real > 0, z, 0))


def test_gradients_are_those_of_the_sum_over_bottlenecks(setting, batch, rng):
    x, labels = batch
    net = setting.dense(setting.hidden)
    params = float64(net.init(rng))
    asked = widths.gradients(setting, net, params, x, labels, [(13, 11), (2, 11), (5, 11)], widths.on_labels)
    assert_gradients(asked.grads, lambda p: sum(cross_entropy(sent(p, x, m), labels) for m in (13, 2, 5)), params, rng)


def test_bottlenecks_come_nearest_to_the_flops_of_a_rank(setting, rows, recorded):
    ranks = (1 * (20 + 24) + 33, 3 * (20 + 24) + 33, 91 + 5 * 24 + 33)  # of the product, where factors cost more
    nearest = [min(range(1, 14), key=lambda m: abs(m * 7 + m * 11 + 33 - cost)) for cost in ranks]
    drawn = recorded(widths, "gradients", 5)
    family = split_computing.train(rows, setting, 0)
    assert drawn == [[(m, 11) for m in nearest]] * 6
    assert [member.multiply_adds for member in family.members] == [m * 18 + 33 for m in nearest]
    params = family.members[-1].params
    for count, member in zip(nearest, family.members, strict=True):
        expected = sent(params, rows.x_test, count)
        assert np.allclose(member.predictor()(rows.x_test), expected, rtol=1e-4, atol=1e-5)
