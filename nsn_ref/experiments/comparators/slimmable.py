"""Slimmable network: a few fixed hidden widths, all of them trained on the labels at every step."""

from nsn_ref.experiments.comparators.widths import on_labels, train_widths


def train(split, setting, seed):
    """One training; the losses of all widths summed.

    Source: Yu et al., arXiv:1812.08928, Algorithm 1.
    """
    return train_widths(split, setting, seed, lambda rng, progress: setting.widths, on_labels)
