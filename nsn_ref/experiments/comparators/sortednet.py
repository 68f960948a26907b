"""SortedNet: a few sub-models drawn uniformly at each step, their gradients averaged; no anchor, no weights."""

from nsn_ref import kernels
from nsn_ref.experiments.comparators.descent import Gradients, descend, initial
from nsn_ref.experiments.comparators.family import Family, at_ranks, size
from nsn_ref.experiments.comparators.setting import step_cost
from nsn_ref.nets.loss_and_grads import loss_and_grads
from nsn_ref.training.weighting import Objective


def train(split, setting, seed, *, draws=2):
    """One training; `draws` ranks, with replacement, at every step.

    Source: arXiv:2309.00255.
    """
    net = setting.nested(setting.R)

    def step(params, x, labels, rng, _):
        return gradients(net, params, x, labels, rng.choice(setting.ranks, draws).tolist())

    params, training = descend(initial(net, seed), step, split, setting, seed)
    return Family(at_ranks(net, params, setting.ranks), training, size(net))


def gradients(net, params, x, labels, ranks):
    """The mean of the gradients at several ranks."""
    mean = Objective("fixed", weights=(1 / len(ranks),) * net.R)
    out = loss_and_grads(net, params, x, labels, ranks, objective=mean, ops=kernels)
    return Gradients(out.grads, sum(step_cost(net, rank) for rank in ranks))
