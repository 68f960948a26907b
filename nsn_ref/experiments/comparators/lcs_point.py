"""Learning compressible subspaces, point: one set of weights, trained on the labels over a range of hidden widths."""

from nsn_ref.experiments.comparators.universally_slimmable import sandwich_widths
from nsn_ref.experiments.comparators.widths import on_labels, train_widths


def train(split, setting, seed, *, count=4):
    """One training; the widths of a step by the sandwich rule, their losses summed.

    Source: Nunez et al., arXiv:2110.04252, "LCS+P" with structured sparsity, and its published configuration.
    """
    return train_widths(split, setting, seed, lambda rng, progress: sandwich_widths(setting, count, rng), on_labels)
