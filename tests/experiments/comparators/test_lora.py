"""LoRA: a training for each rank, the frozen layers those of the pretraining."""

import numpy as np

from nsn_ref.experiments.comparators import lora
from nsn_ref.experiments.comparators.adapters import adapted_cost, pretrained


def test_each_rank_has_adapters_of_its_own_on_the_same_frozen_layers(setting, rows):
    family = lora.train(rows, setting, 3)
    frozen, pretraining = pretrained(rows, setting, 3)
    for rank, member in zip(setting.ranks, family.members, strict=True):
        for i in range(2):
            change = member.params[f"layers.{i}.W"] - frozen[f"layers.{i}.W"]
            assert np.linalg.matrix_rank(change.astype(np.float64), tol=1e-4) == rank
            assert (member.params[f"layers.{i}.b"] == frozen[f"layers.{i}.b"]).all()
    adapters = sum(r * (7 + 13) + r * (13 + 11) + 11 * 3 + 3 for r in setting.ranks)
    assert family.stored == 7 * 13 + 13 + 13 * 11 + 11 + adapters
    assert family.training == pretraining + 3 * 80 * sum(adapted_cost(setting, r) for r in setting.ranks)


def test_the_scale_is_alpha_over_the_rank(setting, rows, recorded):
    scales = recorded(lora, "gradients", 6)
    lora.train(rows, setting, 3, alpha=6)
    assert scales == [6 / r for r in setting.ranks for _ in range(6)]
