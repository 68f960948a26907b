"""Truncation trains at R only, and its largest member is the specialist of R."""

import numpy as np

from nsn_ref.experiments.comparators import specialists
from nsn_ref.experiments.comparators.truncation import train


def test_members_are_the_largest_specialist_cut(setting, rows):
    family = train(rows, setting, 4)
    largest = specialists.train(rows, setting, 4).members[-1]
    x = rows.x_test
    for rank, member in zip(setting.ranks, family.members, strict=True):
        expected = x
        for i in range(2):
            A, B, b = (largest.params[f"layers.{i}.{name}"] for name in "ABb")
            expected = np.maximum(expected @ A[:rank].T @ B[:, :rank].T + b, 0)
        expected = expected @ largest.params["layers.2.W"].T + largest.params["layers.2.b"]
        assert np.allclose(member.predictor()(x), expected, rtol=1e-4, atol=1e-5)
    assert family.training == 3 * 80 * 3 * (5 * (7 + 13) + 5 * (13 + 11) + 11 * 3)
