"""Surgery keeps the dense network, halves share no row, and no cosine exceeds the best possible."""

import numpy as np
import pytest

from nsn_ref.experiments.data import split
from nsn_ref.experiments.models import dense_mlp
from nsn_ref.experiments.paper.distance import MODELS, halves, mean_cosine, run, surgery
from nsn_ref.nets.mlp import MLP


@pytest.fixture
def dense(rng):
    return dense_mlp((7, 5, 11, 3)).init(rng, np.float64)


def test_surgery_at_full_rank_is_the_dense_network(rng, dense):
    net, x = MLP((7, 5, 11, 3), R=6), rng.standard_normal((13, 7))
    params = surgery(net, dense)
    expected, _ = dense_mlp((7, 5, 11, 3)).forward(dense, x, 1)
    assert net.forward(params, x, 6)[0] == pytest.approx(expected)


def test_the_cosine_of_the_truncated_svd(dense):
    """sqrt(sum_{i<=r} s_i^2 / sum_i s_i^2), averaged over layers."""
    net = MLP((7, 5, 11, 3), R=4)
    shares = []
    for i in range(2):
        s = np.linalg.svd(dense[f"layers.{i}.W"], compute_uv=False)
        shares.append(np.sqrt(np.sum(s[:3] ** 2) / np.sum(s**2)))
    assert mean_cosine(net, surgery(net, dense), dense, 3) == pytest.approx(np.mean(shares))


def test_halves_share_no_row_and_have_every_class(digits):
    rows = split(digits, 0)
    first, second = halves(rows)
    whole = np.concatenate([first.x_train, second.x_train])
    assert sorted(map(bytes, whole)) == sorted(map(bytes, rows.x_train))
    assert np.abs(np.bincount(first.y_train) - np.bincount(second.y_train)).max() <= 1


def test_nothing_exceeds_the_best_possible(digits, options):
    tuned, alone, best = (run(digits, options(model=model), 0)["cosine"] for model in MODELS)
    for r in best:
        assert tuned[r] <= best[r] and alone[r] <= best[r] and best[r] > 0.3
