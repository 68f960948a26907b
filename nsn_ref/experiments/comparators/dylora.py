"""DyLoRA: adapters of a frozen pretrained network for every rank at once, one rank drawn at each step."""

from nsn_ref.experiments.comparators import lora
from nsn_ref.experiments.comparators.adapters import merged, pretrained, start, stored
from nsn_ref.experiments.comparators.descent import descend
from nsn_ref.experiments.comparators.family import Family


def train(split, setting, seed, *, alpha=1, frozen_prefix=True):
    """One pretraining, one training of R components; rank b ~ U{1..R} at every step, scaled by `alpha` / b.

    Source: Valipour et al., arXiv:2210.07558, Algorithm 1.
    """
    frozen, training = pretrained(split, setting, seed)

    def step(params, x, labels, rng, progress):
        return gradients(setting, frozen, params, x, labels, int(rng.integers(1, setting.R + 1)), alpha, frozen_prefix)

    params, cost = descend(start(setting, setting.R, seed), step, split, setting, seed)
    members = (merged(setting, frozen, params, rank, alpha / rank) for rank in setting.ranks)
    return Family(tuple(members), training + cost, stored(frozen, params))


def gradients(setting, frozen, params, x, labels, b, alpha, frozen_prefix):
    """Of the cross-entropy at rank b; what is updated is component b alone, or components 1..b, and the head."""
    asked = lora.gradients(setting, frozen, params, x, labels, b, alpha / b)
    components = slice(b - 1 if frozen_prefix else 0, b)
    where = {}
    for i in range(len(setting.hidden)):
        where |= {f"layers.{i}.A": (components,), f"layers.{i}.B": (slice(None), components)}
    return asked._replace(where=where)
