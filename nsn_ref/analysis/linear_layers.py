"""The layers of a network that multiply, and what they cost together."""

import math

from nsn_ref.analysis.cost import Layer, dense_cost, network_cost
from nsn_ref.nets.conv_layers import AveragePool2d, GlobalAveragePool2d


def linear_layers(net, shape):
    """The layers that multiply, in the form of `nsn_ref.analysis.cost`.

    Parameters
    ----------
    net : MLP or ConvNet
    shape : tuple of int
        Of an input; the first axis is the batch.

    Returns
    -------
    list of cost.Layer
    """
    positions = math.prod(shape[1:-1] if net.input_axes.startswith("...") else shape[2:])
    layers = []
    for layer in net.layers:
        shapes = layer.shapes()
        if isinstance(layer, AveragePool2d):
            positions //= layer.size**2
        elif isinstance(layer, GlobalAveragePool2d):
            positions = 1
        elif shapes:
            (d_out,) = shapes[f"{layer.key}.b"]
            first = shapes[f"{layer.key}.A" if layer.ranked else f"{layer.key}.W"]
            layers.append(Layer(math.prod(first[1:]), d_out, layer.R if layer.ranked else None, positions))
    return layers


def network_flops(layers, rank):
    """FLOPs for one example; a network without nested layers has one cost for all ranks."""
    nested = any(layer.R is not None for layer in layers)
    largest = max((layer.R for layer in layers if layer.R is not None), default=1)
    return network_cost(layers, min(rank, largest)).flops if nested else dense_cost(layers).flops
