"""Matryoshka heads: one representation, of which every prefix is trained to be classified by the same head."""

from nsn_ref.experiments.comparators.widths import on_labels, train_widths


def train(split, setting, seed):
    """One training; the losses of all prefixes summed.

    Source: Kusupati et al., arXiv:2205.13147, Eq. 1, with the tied heads of "MRL-E".
    """
    widths = prefixes(setting)
    return train_widths(split, setting, seed, lambda rng, progress: widths, on_labels, widths)


def prefixes(setting):
    """For each budget the hidden widths: of the last layer as many units as the rank, at R all; the others whole."""
    *below, last = setting.hidden
    return [(*below, min(rank, last)) for rank in setting.ranks[:-1]] + [setting.hidden]
