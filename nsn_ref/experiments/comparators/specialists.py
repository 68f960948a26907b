"""Factorised specialists: a network for each rank, trained alone at it."""

from nsn_ref.experiments.comparators.family import Family, Member, size
from nsn_ref.experiments.comparators.fit import fit
from nsn_ref.experiments.digits import ALONE


def train(split, setting, seed):
    """One training for each rank; each stores as many components as it runs at.

    Source: arXiv:2509.17874v1, Fig. 2 and app. A.1.
    """
    return each_alone([setting.nested(rank) for rank in setting.ranks], split, setting, seed)


def each_alone(nets, split, setting, seed):
    """Train each network on its own, at all that it has."""
    params, training = zip(*(fit(net, split, setting, seed, **ALONE) for net in nets), strict=True)
    members = tuple(Member(net, p, net.R) for net, p in zip(nets, params, strict=True))
    return Family(members, sum(training), size(*nets))
