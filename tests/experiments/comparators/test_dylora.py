"""DyLoRA: uniform ranks; a step moves component b and the head, or components 1..b."""

from collections import Counter

import numpy as np
import pytest

from nsn_ref.experiments.comparators import dylora, lora
from nsn_ref.experiments.comparators.adapters import pretrained, start
from nsn_ref.experiments.comparators.descent import descend
from nsn_ref.experiments.comparators.setting import Setting


@pytest.mark.parametrize(("frozen_prefix", "moved"), [(True, {2}), (False, {0, 1, 2})])
def test_which_components_a_step_moves(setting, rows, frozen_prefix, moved):
    frozen, _ = pretrained(rows, setting, 0)
    at_start = start(setting, 5, 0)

    def step(params, x, labels, rng, progress):
        return dylora.gradients(setting, frozen, params, x, labels, 3, 16, frozen_prefix)

    params, _ = descend(at_start, step, rows, setting, 0)
    for i in range(2):
        for k in range(5):
            rows_differ = (params[f"layers.{i}.A"][k] != at_start[f"layers.{i}.A"][k]).any()
            columns_differ = (params[f"layers.{i}.B"][:, k] != at_start[f"layers.{i}.B"][:, k]).any()
            assert rows_differ == columns_differ == (k in moved)
    assert (params["head.W"] != at_start["head.W"]).all()


def test_ranks_are_uniform_and_the_scale_is_alpha_over_them(rows, recorded):
    setting = Setting(d_in=7, classes=3, hidden=(13, 11), ranks=(1, 3, 5), epochs=100)
    drawn, scales = recorded(dylora, "gradients", 5), recorded(lora, "gradients", 6)
    dylora.train(rows, setting, 0, alpha=6)
    counts = Counter(drawn)
    assert counts.keys() == {1, 2, 3, 4, 5} and len(drawn) == 200
    assert sum((count - 40) ** 2 / 40 for count in counts.values()) < 18.5  # once in a thousand seeds
    assert scales == [6 / b for b in drawn]


def test_one_set_of_adapters_serves_all_ranks(setting, rows):
    family = dylora.train(rows, setting, 0)
    frozen, _ = pretrained(rows, setting, 0)
    small, large = (member.params["layers.1.W"] - frozen["layers.1.W"] for member in family.members[::2])
    assert family.stored == 7 * 13 + 13 + 13 * 11 + 11 + 5 * (7 + 13) + 5 * (13 + 11) + 11 * 3 + 3
    assert np.linalg.matrix_rank(small.astype(np.float64), tol=1e-5) <= 1
    assert np.linalg.matrix_rank(large.astype(np.float64), tol=1e-5) <= 5
