"""NSN with the sandwich rule and in-place distillation: more variants a step, each taught by the anchor."""

import numpy as np

from nsn_ref import kernels
from nsn_ref.experiments.comparators.descent import Gradients, descend, initial
from nsn_ref.experiments.comparators.family import Family, at_ranks, size
from nsn_ref.experiments.comparators.sandwich import distilled_backward, distilled_forward, sandwich
from nsn_ref.experiments.comparators.setting import step_cost


def train(split, setting, seed, *, count=4):
    """One training; at every step R, the smallest rank, and `count` - 2 of the others.

    Source: arXiv:2509.17874v1, Eq. 3, for the weights; arXiv:1903.05134 for the rest.
    """
    net, ranks = setting.nested(setting.R), setting.ranks

    def step(params, x, labels, rng, _):
        return gradients(net, params, x, labels, sandwich(ranks[-1], ranks[0], ranks[1:-1] or ranks, count, rng))

    params, training = descend(initial(net, seed), step, split, setting, seed)
    return Family(at_ranks(net, params, ranks), training, size(net))


def gradients(net, params, x, labels, ranks):
    """Of Eq. 3 over the distilled losses; the first rank is the teacher."""
    logits, saved = net.forward_ranks(params, x, ranks, kernels)
    losses, contexts = distilled_forward(logits, labels)
    total, weighed = kernels.objective_forward(losses, params["s"], ranks)
    dlosses, ds = kernels.objective_backward(np.ones_like(total), weighed)
    grads, _ = net.backward_ranks(np.stack(distilled_backward(dlosses, contexts)), saved)
    return Gradients(grads | {"s": ds}, sum(step_cost(net, rank) for rank in ranks))
