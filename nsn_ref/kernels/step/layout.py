"""Where everything lies in the flat buffers of a training step.

A layer is a row of integers, so that one compiled function serves nets of any depth. Parameters, gradients and moments
have one layout. The intermediates of a member of the team, who takes some rows of the batch through the whole net, have
another; members lie one after the other.

An intermediate holds the member's rows at K ranks, one rank under the other, the largest rank first: what the k largest
ranks share then meets rows that lie together.
"""

from typing import NamedTuple

import numpy as np

from nsn_ref.nets.layers import Activation, NestedLinear

# columns of the table of layers: what it is, sizes, offsets of parameters (A or W, B, b), offsets of intermediates
NESTED, SHARES, D_IN, D_OUT, R, FIRST, SECOND, BIAS, H, Z, Y, DZ, DY = range(13)
# columns of the table of parameters: where each lies, and whether it decays
START, STOP, DECAYS = range(3)


class Layout(NamedTuple):
    """Tables of int64, and sizes."""

    layers: np.ndarray  # (L, 13)
    parameters: np.ndarray  # (P, 3); s is the last
    size: int  # numbers in the intermediates of one member


def layout(net, ranks, rows, decays):
    """Lay out a multilayer perceptron.

    Parameters
    ----------
    net : MLP
    ranks : int, >= 1
        The most ranks of a step.
    rows : int, >= 1
        The most rows of a member.
    decays : sequence of str
        Last parts of the names of the parameters that decay.

    Returns
    -------
    layout : Layout
    names : dict of str to (slice, shape)
        Where each parameter lies.
    """
    names, start = {}, 0
    shapes = net.shapes()
    for name in sorted(shapes, key=lambda name: name == "s"):  # s last
        names[name] = slice(start, start + int(np.prod(shapes[name]))), shapes[name]
        start = names[name][0].stop
    parameters = [[at.start, at.stop, name.rpartition(".")[2] in decays] for name, (at, _) in names.items()]

    linear = [layer for layer in net.layers if not isinstance(layer, Activation)]
    table, h, cursor, stacked = [], 0, rows * linear[0].d_in, rows
    for layer in linear:
        nested = isinstance(layer, NestedLinear)
        shares = nested and stacked == rows  # all ranks still have one input
        R_, before = layer.R if nested else 0, stacked
        stacked = ranks * rows if nested else stacked
        last = layer is linear[-1]
        z, y, dz = np.cumsum([cursor, before * R_, stacked * layer.d_out])
        dy = y if last else dz + before * R_  # the gradient of the logits takes their place
        cursor = (dz if last else dy) + (before * R_ if last else stacked * layer.d_out)
        offsets = [names[f"{layer.key}.{name}"][0].start for name in ("ABb" if nested else "WWb")]
        table.append([nested, shares, layer.d_in, layer.d_out, R_, *offsets, h, z, y, dz, dy])
        h = y
    return Layout(np.array(table, np.int64), np.array(parameters, np.int64), int(cursor)), names
