"""Dense specialists: a network without factors for each budget, so narrow that its FLOPs are those of the rank."""

from nsn_ref.experiments.comparators.specialists import each_alone


def train(split, setting, seed):
    """One training for each rank.

    Source: arXiv:2509.17874v1, Fig. 4 and sec. 4.1.
    """
    return each_alone([setting.dense(width) for width in setting.widths], split, setting, seed)
