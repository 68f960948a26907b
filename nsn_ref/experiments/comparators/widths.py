"""Training of one dense network at many hidden widths: what such methods differ in is two functions.

One draws the widths of a step, the other gives the gradients of their logits.
"""

import functools

from nsn_ref import kernels
from nsn_ref.experiments.comparators.descent import Gradients, descend, initial
from nsn_ref.experiments.comparators.family import Family, Member, size
from nsn_ref.experiments.comparators.prefix import part, prefix_backward, prefix_forward
from nsn_ref.experiments.comparators.setting import step_cost
from nsn_ref.nets.layers import sum_grads


def train_widths(split, setting, seed, draw, cotangents, widths=None):
    """Train the network of the largest width.

    Parameters
    ----------
    split : Split
    setting : Setting
    seed : int
    draw : callable
        ``draw(rng, progress)``: the widths of a step.
    cotangents : callable
        ``cotangents(logits, labels, progress)``: the gradients of the step's loss by the logits at these widths.
    widths : sequence of int or of tuple, optional
        Those of the budgets, the last one the largest; a tuple has one width for each hidden layer. Default:
        `Setting.widths`.

    Returns
    -------
    Family
    """
    widths = setting.widths if widths is None else widths
    net = setting.dense(widths[-1])

    def step(params, x, labels, rng, progress):
        loss = functools.partial(cotangents, progress=progress)
        return gradients(setting, net, params, x, labels, draw(rng, progress), loss)

    params, training = descend(initial(net, seed), step, split, setting, seed)
    return Family(tuple(narrow(setting, net, params, width) for width in widths), training, size(net))


def gradients(setting, net, params, x, labels, widths, cotangents):
    """Gradients of the loss of a step at several widths."""
    logits, saved = zip(*(prefix_forward(net, params, x, width) for width in widths), strict=True)
    dlogits = cotangents(logits, labels)
    grads = sum_grads(prefix_backward(dz, context) for dz, context in zip(dlogits, saved, strict=True))
    return Gradients(grads, sum(step_cost(setting.dense(width), 1) for width in widths))


def narrow(setting, net, params, width):
    """The first `width` units of every hidden layer as a network of its own."""
    own = {name: params[name][at].copy() for name, at in part(net, width).items()}
    return Member(setting.dense(width), own | {"s": params["s"]}, 1)


def on_labels(logits, labels, progress=None):
    """Cotangents of the sum of the cross-entropies with the labels."""
    dlogits = []
    for z in logits:
        _, saved = kernels.softmax_cross_entropy_forward(z, labels)
        dlogits.append(kernels.softmax_cross_entropy_backward(1, saved))
    return dlogits
