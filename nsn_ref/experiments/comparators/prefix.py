"""A dense network whose hidden layers run with their first units only: one network at many widths."""

import itertools

from nsn_ref import kernels
from nsn_ref.nets.chain import run_backward, run_forward
from nsn_ref.scalars import zeros_like


def part(net, width):
    """Where the parameters of the narrow network lie in those of the wide one.

    Parameters
    ----------
    net : MLP
        Without nested layers.
    width : int or tuple of int
        Of all hidden layers, or of each.

    Returns
    -------
    dict of str to tuple of slice
    """
    hidden = (width,) * (len(net.nested) - 1) if isinstance(width, int) else width
    units = [slice(None), *map(slice, hidden), slice(None)]  # the input, the hidden layers, the output
    where = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(units)):
        where |= {f"layers.{i}.W": (outputs, inputs), f"layers.{i}.b": (outputs,)}
    return where


def prefix_forward(net, params, x, width):
    """Logits of the first `width` units of every hidden layer, and what the backward pass needs."""
    own = {name: params[name][at] for name, at in part(net, width).items()}
    logits, saved = run_forward(net.layers, own, x, (), kernels)
    return logits, (net, params, width, saved)


def prefix_backward(dlogits, saved):
    """Gradients in the shapes of the wide network's parameters; outside the narrow one they are zero."""
    net, params, width, context = saved
    own, _ = run_backward(dlogits, context)
    grads = {}
    for name, at in part(net, width).items():
        grads[name] = zeros_like(params[name])
        grads[name][at] = own[name]
    return grads
