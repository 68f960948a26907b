"""Both similarities against their definitions."""

import numpy as np
import pytest

from nsn_ref.experiments.paper.similarity import alignment, cosine, run


def test_cosines_by_hand():
    x, y = np.array([[1.0, 0.0], [3.0, 4.0], [0.0, 0.0]]), np.array([[0.0, 2.0], [3.0, 4.0], [1.0, 1.0]])
    assert cosine(x, y) == pytest.approx((0 + 1 + 0) / 3)


def test_alignment_is_that_of_centred_gram_matrices(rng):
    x, y = rng.standard_normal((13, 5)), rng.standard_normal((13, 7))
    H = np.eye(13) - 1 / 13
    K, L = H @ x @ x.T @ H, H @ y @ y.T @ H
    assert alignment(x, y) == pytest.approx(np.trace(K @ L) / np.sqrt(np.trace(K @ K) * np.trace(L @ L)))
    Q, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    assert alignment(x, 3 * x @ Q + 1) == pytest.approx(1)
    assert alignment(x, np.ones((13, 7))) == 0


def test_every_trained_rank_has_both(digits, options):
    found = run(digits, options(model="nested", hidden=[16, 16, 16]), 0)
    assert set(found) == {"cosine", "centred alignment"}
    assert all(list(by_rank) == ["1", "2", "4", "8"] for by_rank in found.values())
    assert all(-1 <= value <= 1 for by_rank in found.values() for value in by_rank.values())
