"""Delayed shrinking: the largest width alone for half of the training, then the narrower ones, taught by it."""

from nsn_ref.experiments.comparators.sandwich import distilled_backward, distilled_forward
from nsn_ref.experiments.comparators.universally_slimmable import sandwich_widths
from nsn_ref.experiments.comparators.widths import train_widths


def train(split, setting, seed, *, count=4):
    """One training; from half-way on the sandwich rule with in-place distillation.

    Source: Annavajjala, Khare et al., arXiv:2407.06167.
    """

    def draw(rng, progress):
        return sandwich_widths(setting, count, rng) if progress >= 0.5 else [setting.widths[-1]]

    return train_widths(split, setting, seed, draw, ramped)


def ramped(logits, labels, progress):
    """Cotangents of the loss of the first on the labels, plus `share` times the distilled losses of the others."""
    _, saved = distilled_forward(logits, labels)
    return distilled_backward([1, *[share(progress)] * (len(saved) - 1)], saved)


def share(progress):
    """The weight of the narrower widths: 0 until half of the training, then rising to 1 at three quarters."""
    return min(1.0, max(0.0, 4 * progress - 2))
