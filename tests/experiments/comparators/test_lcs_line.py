"""LCS, line: both ends, what lies between them, and the pull towards a right angle."""

import numpy as np
import pytest
from comparator_formulas import assert_gradients, at_width, cross_entropy, float64

from nsn_ref.experiments.comparators import lcs_line
from nsn_ref.experiments.comparators.lcs_line import cosine_gradients, line_gradients, place, point


@pytest.fixture
def ends(setting, rng):
    """Two float64 ends of the network of width 11."""
    net = setting.dense(11)
    both = (net.init(rng), net.init(rng))
    return float64({f"{i}.{name}": p for i, each in enumerate(both) for name, p in each.items() if name != "s"})


def test_the_ends_are_the_smallest_and_the_largest_width(setting, ends):
    assert [place(setting, w) for w in setting.widths] == [0, (setting.widths[1] - 5) / 6, 1]
    for alpha in (0, 1):
        assert all((p == ends[f"{alpha}.{name}"]).all() for name, p in point(ends, alpha).items())
    middle = point(ends, 0.25)["layers.1.W"]
    assert np.allclose(middle, 0.75 * ends["0.layers.1.W"] + 0.25 * ends["1.layers.1.W"], rtol=1e-14)


def test_gradients_are_those_of_the_losses_along_the_line(setting, batch, ends, rng):
    x, labels = batch
    drawn = [11, 5, 7, 7]

    def loss(p):
        total = 0
        for w in drawn:
            alpha = (w - 5) / 6
            names = [name[2:] for name in p if name.startswith("0.")]
            mixed = {name: (1 - alpha) * p[f"0.{name}"] + alpha * p[f"1.{name}"] for name in names}
            total = total + cross_entropy(at_width(mixed, x, w), labels)
        return total

    assert_gradients(line_gradients(setting, setting.dense(11), ends, x, labels, drawn), loss, ends, rng)


def test_the_cosine_is_of_all_matrices_joined(ends, rng):
    def loss(p):
        a, b = (np.concatenate([p[f"{i}.layers.{k}.W"].ravel() for k in range(3)]) for i in (0, 1))
        return 0.7 * (a * b).sum() ** 2 / ((a * a).sum() * (b * b).sum())

    ends["1.layers.1.W"] = ends["0.layers.1.W"] + ends["1.layers.1.W"]  # far from a right angle
    assert_gradients(cosine_gradients(ends, 0.7), loss, ends, rng)


def test_training_keeps_both_ends(setting, rows):
    family = lcs_line.train(rows, setting, 0)
    assert family.stored == 2 * (7 * 11 + 11 + 11 * 11 + 11 + 3 * 11 + 3)
    first, last = family.members[0].params["layers.0.W"], family.members[-1].params["layers.0.W"]
    assert first.shape == (5, 7) and last.shape == (11, 7) and (last[:5] != first).all()
