"""MatFormer: nested hidden widths, one of them drawn for each batch."""

from nsn_ref.experiments.comparators.widths import on_labels, train_widths


def train(split, setting, seed):
    """One training; at every step one of the budgets' widths, drawn uniformly.

    Source: Devvrit et al., arXiv:2310.07707, sec. 3.2.
    """
    return train_widths(split, setting, seed, lambda rng, progress: [int(rng.choice(setting.widths))], on_labels)
