"""Universally slimmable network: any hidden width, trained by the sandwich rule with in-place distillation."""

from nsn_ref.experiments.comparators.sandwich import distilled_backward, distilled_forward, sandwich
from nsn_ref.experiments.comparators.widths import train_widths


def train(split, setting, seed, *, count=4):
    """One training; at every step the largest width, the smallest, and `count` - 2 drawn from all of that range.

    Source: Yu & Huang, arXiv:1903.05134, Algorithm 1.
    """
    return train_widths(split, setting, seed, lambda rng, progress: sandwich_widths(setting, count, rng), distilled)


def sandwich_widths(setting, count, rng):
    """The sandwich rule over every width from that of the smallest budget to that of the largest."""
    smallest, largest = setting.widths[0], setting.widths[-1]
    return sandwich(largest, smallest, range(smallest, largest + 1), count, rng)


def distilled(logits, labels, progress=None):
    """Cotangents of the sum of the distilled losses."""
    _, saved = distilled_forward(logits, labels)
    return distilled_backward([1] * len(saved), saved)
