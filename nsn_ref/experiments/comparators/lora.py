"""LoRA for each rank: adapters of a frozen pretrained network, trained anew for every rank."""

from nsn_ref.experiments.comparators.adapters import (
    adapted_backward,
    adapted_cost,
    adapted_forward,
    merged,
    pretrained,
    start,
    stored,
)
from nsn_ref.experiments.comparators.descent import Gradients, descend
from nsn_ref.experiments.comparators.family import Family
from nsn_ref.experiments.comparators.widths import on_labels


def train(split, setting, seed, *, alpha=16):
    """One pretraining; then for each rank a training of adapters, scaled by `alpha` / rank, and of a head.

    Source: Hu et al., arXiv:2106.09685, sec. 4.1.
    """
    frozen, training = pretrained(split, setting, seed)
    members, kept = [], []
    for rank in setting.ranks:

        def step(params, x, labels, rng, progress, rank=rank):
            return gradients(setting, frozen, params, x, labels, rank, alpha / rank)

        params, cost = descend(start(setting, rank, seed), step, split, setting, seed)
        members.append(merged(setting, frozen, params, rank, alpha / rank))
        kept.append(params)
        training += cost
    return Family(tuple(members), training, stored(frozen, *kept))


def gradients(setting, frozen, params, x, labels, rank, scale):
    """Of the cross-entropy at one rank, by adapters and head."""
    logits, saved = adapted_forward(frozen, params, x, rank, scale)
    (dz,) = on_labels([logits], labels)
    return Gradients(adapted_backward(dz, saved), adapted_cost(setting, rank))
