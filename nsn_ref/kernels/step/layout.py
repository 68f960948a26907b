"""Where the parameters and the intermediates of a training step lie: offsets into two flat buffers.

A layer is a row of integers, so that one compiled function serves nets of any depth. Parameters, gradients and moments
have the same layout. An intermediate holds the rows of K ranks one rank under the other, the largest rank first: the
components of a block that the first k ranks share then meet contiguous rows.
"""

from typing import NamedTuple

import numpy as np

from nsn_ref.nets.layers import Activation, NestedLinear

# columns of the table of layers: sizes, offsets of parameters, offsets of intermediates
NESTED, SHARES, D_IN, D_OUT, R, FIRST, SECOND, BIAS, H, Z, Y, D = range(12)
# columns of the table of parameters
START, STOP, DECAYS = range(3)


class Layout(NamedTuple):
    """Offsets of everything; all arrays int64."""

    layers: np.ndarray  # (L, 12)
    parameters: np.ndarray  # (P, 3): where each lies, and whether it decays; s is the last
    dz: int  # offset of the gradient of z, which all layers use in turn
    ranks: int  # K at most
    rows: int  # of a batch, at most


def layout(net, ranks, rows, decays):
    """Lay out a multilayer perceptron.

    Parameters
    ----------
    net : MLP
    ranks : int, >= 1
        K, the most ranks of a step.
    rows : int, >= 1
        The most rows of a batch.
    decays : sequence of str
        Last parts of the names of the parameters that decay.

    Returns
    -------
    layout : Layout
    names : dict of str to (slice, shape)
        Where each parameter lies in the flat buffer.
    size : int
        Numbers in the buffer of intermediates.
    """
    names, start = {}, 0
    for name, shape in net.shapes().items():
        if name != "s":
            names[name] = slice(start, start + int(np.prod(shape))), shape
            start = names[name][0].stop
    names["s"] = slice(start, start + net.R), (net.R,)
    parameters = [[where.start, where.stop, name.rpartition(".")[2] in decays] for name, (where, _) in names.items()]

    linear = [layer for layer in net.layers if not isinstance(layer, Activation)]
    widest = ranks * rows * max(layer.d_out for layer in linear[:-1] or linear)
    cursor = rows * linear[0].d_in
    gradients, cursor = (cursor, cursor + widest), cursor + 2 * widest
    table, h, stacked = [], 0, 1
    for i, layer in enumerate(linear):
        nested = isinstance(layer, NestedLinear)
        shares = nested and stacked == 1
        factors = [f"{layer.key}.{name}" for name in (("A", "B", "b") if nested else ("W", "W", "b"))]
        z, cursor = cursor, cursor + (stacked * rows * layer.R if nested else 0)
        stacked = ranks if nested else stacked
        y, cursor = cursor, cursor + stacked * rows * layer.d_out
        d = y if i == len(linear) - 1 else gradients[i % 2]
        offsets = [names[name][0].start for name in factors]
        components = layer.R if nested else 0
        table.append([nested, shares, layer.d_in, layer.d_out, components, *offsets, h, z, y, d])
        h = y
    dz = cursor
    cursor += ranks * rows * max((layer.R for layer in linear if isinstance(layer, NestedLinear)), default=0)
    tables = (np.array(rows_, np.int64) for rows_ in (table, parameters))
    return Layout(*tables, dz, ranks, rows), names, cursor
