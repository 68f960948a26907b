"""Truncation: one factorised network, trained at its full rank only, cut to each lower one."""

from nsn_ref.experiments.comparators.family import Family, at_ranks, size
from nsn_ref.experiments.comparators.fit import fit
from nsn_ref.experiments.digits import ALONE


def train(split, setting, seed):
    """One training, at rank R.

    Source: arXiv:2509.17874v1, Fig. 2.
    """
    net = setting.nested(setting.R)
    params, training = fit(net, split, setting, seed, **ALONE)
    return Family(at_ranks(net, params, setting.ranks), training, size(net))
