"""The nested subspace network: each step an anchor and one variant, weighed by learned uncertainties."""

from nsn_ref.experiments.comparators.family import Family, at_ranks, size
from nsn_ref.experiments.comparators.fit import fit
from nsn_ref.experiments.digits import NESTED


def train(split, setting, seed):
    """One training: rank R and a rank drawn uniformly from the others at every step.

    Source: arXiv:2509.17874v1, sec. 2.2, Eq. 3.
    """
    net = setting.nested(setting.R)
    params, training = fit(net, split, setting, seed, variants=setting.ranks[:-1], **NESTED)
    return Family(at_ranks(net, params, setting.ranks), training, size(net))
