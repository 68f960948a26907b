"""Learning compressible subspaces, line: weights that move along a line as the hidden width grows."""

import numpy as np

from nsn_ref.experiments.comparators.descent import Gradients, descend
from nsn_ref.experiments.comparators.family import Family, size
from nsn_ref.experiments.comparators.prefix import prefix_backward, prefix_forward
from nsn_ref.experiments.comparators.setting import step_cost
from nsn_ref.experiments.comparators.universally_slimmable import sandwich_widths
from nsn_ref.experiments.comparators.widths import narrow, on_labels
from nsn_ref.nets.layers import sum_grads
from nsn_ref.training import samplers


def train(split, setting, seed, *, count=4, beta=1.0):
    """One training of both ends; the widths of a step by the sandwich rule, their losses summed.

    Source: Nunez et al., arXiv:2110.04252, "LCS+L" with structured sparsity, and its published configuration.
    """
    net = setting.dense(setting.widths[-1])
    rng = samplers.generator(seed, "parameters")
    ends = {f"{end}.{name}": p for end in (0, 1) for name, p in net.init(rng).items() if name != "s"}

    def step(params, x, labels, rng, progress):
        widths = sandwich_widths(setting, count, rng)
        grads = sum_grads([line_gradients(setting, net, params, x, labels, widths), cosine_gradients(params, beta)])
        return Gradients(grads, sum(step_cost(setting.dense(width), 1) for width in widths))

    params, training = descend(ends, step, split, setting, seed)
    s = np.zeros(1, np.float32)
    members = (narrow(setting, net, point(params, place(setting, w)) | {"s": s}, w) for w in setting.widths)
    return Family(tuple(members), training, 2 * size(net))


def place(setting, width):
    """Where a width lies on the line: 0 for the smallest, 1 for the largest."""
    smallest, largest = setting.widths[0], setting.widths[-1]
    return (width - smallest) / max(1, largest - smallest)


def point(params, alpha):
    """(1 - alpha) w_0 + alpha w_1."""
    names = [name.removeprefix("0.") for name in params if name.startswith("0.")]
    return {name: mixed(params[f"0.{name}"], params[f"1.{name}"], alpha) for name in names}


def mixed(w_0, w_1, alpha):
    """One parameter of the point."""
    return w_0 * w_0.dtype.type(1 - alpha) + w_1 * w_1.dtype.type(alpha)


def line_gradients(setting, net, params, x, labels, widths):
    """Of the sum over the widths of the cross-entropy at the width's own point of the line."""
    grads = []
    for width in widths:
        alpha = place(setting, width)
        logits, saved = prefix_forward(net, point(params, alpha), x, width)
        (dz,) = on_labels([logits], labels)
        for name, g in prefix_backward(dz, saved).items():  # w = (1 - alpha) w_0 + alpha w_1
            grads.append({f"0.{name}": g * g.dtype.type(1 - alpha), f"1.{name}": g * g.dtype.type(alpha)})
    return sum_grads(grads)


def cosine_gradients(params, beta):
    """Of beta cos^2(w_0, w_1), the weight matrices of an end joined into one vector."""
    names = [name.removeprefix("0.") for name in params if name.startswith("0.") and name.endswith(".W")]
    ab, aa, bb = (
        sum(float((params[f"{i}.{name}"] * params[f"{j}.{name}"]).sum(dtype=np.float64)) for name in names)
        for i, j in ((0, 1), (0, 0), (1, 1))
    )
    grads = {}
    for name in names:  # cos^2 = ab^2 / (aa bb)
        a, b = params[f"0.{name}"], params[f"1.{name}"]
        factor = 2 * beta * ab / (aa * bb)
        grads[f"0.{name}"] = a.dtype.type(factor) * (b - a * a.dtype.type(ab / aa))
        grads[f"1.{name}"] = b.dtype.type(factor) * (a - b * b.dtype.type(ab / bb))
    return grads
