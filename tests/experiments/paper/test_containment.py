"""Both scores on spaces known by hand, and what each model is."""

import numpy as np
import pytest

from nsn_ref.experiments.paper.containment import SCORES, run, scores
from nsn_ref.experiments.paper.recipe import nested_net
from nsn_ref.training import samplers

# a_2 = a_1: the image at rank 2 is span(b_1 + b_2), at 45 degrees to that at rank 1
A, B = np.array([[1.0, 0.0], [1.0, 0.0]]), np.eye(2)


def test_spaces_known_by_hand():
    sound = scores(SCORES["sound"], [(A, B)], [1, 2])
    assert np.array(sound) == pytest.approx(np.array([[1, 0.5], [0.5, 1]]))
    both = scores(SCORES["sound"], [(A, B), (np.eye(2), np.eye(2))], [1, 2])
    assert np.array(both) == pytest.approx(np.array([[1, 0.75], [0.5, 1]]))  # the mean over layers


@pytest.mark.parametrize("model", ["nested", "factorised", "untrained"])
def test_prefixes_of_independent_factors_are_contained(digits, options, model):
    found = run(digits, options(model=model), 0)
    ranks = found["ranks"]
    expected = [[min(1, large / small) for large in ranks] for small in ranks]
    for kind in SCORES:
        assert np.array(found[kind]) == pytest.approx(np.array(expected))


def test_a_component_that_repeats_breaks_the_chain(digits, options):
    """W_2 = (b_1 + b_2) a_1^T, so the sound score of rank 1 in rank 2 is the squared cosine of b_1 and b_1 + b_2."""
    net = nested_net(digits, options())
    params = net.init(samplers.generator(5, "parameters"))
    cosines = []
    for layer in net.nested_layers:
        b, c = params[f"{layer.key}.B"][:, :2].T.astype(np.float64)
        cosines.append((b @ (b + c)) ** 2 / (b @ b) / ((b + c) @ (b + c)))
    found = run(digits, options(model="untrained, a_2 = a_1"), 5)
    assert found["sound"][0][1] == pytest.approx(np.mean(cosines))
    assert found["sound"][1] == pytest.approx([np.mean(cosines), 1, 1, 1])
    assert max(found["paper"][1][2:]) < 0.99


def test_no_rank_above_a_side_of_a_layer(digits, options):
    assert run(digits, options(model="untrained", hidden=[5, 16]), 0)["ranks"] == [1, 2, 4]
