"""Where everything lies in the flat buffers of a training step.

A layer is a row of integers, so that one compiled function serves nets of any depth. Parameters, gradients and moments
have one layout, in which each begins a line of memory. The intermediates of a member of the team, who takes some rows
of the batch through the whole net, have another; members lie one after the other.

An intermediate holds the member's rows at K ranks, one rank under the other, the largest rank first: what the k largest
ranks share then meets rows that lie together. Where a layer is a convolution, each image has a row for each of its
positions; see `image_layout`.
"""

from typing import NamedTuple

import numpy as np

from nsn_ref.kernels.step.memory import whole_lines
from nsn_ref.nets.layers import Activation, NestedLinear

# columns of the table of layers: what it is, sizes, offsets of parameters (A or W, B, b), offsets of intermediates;
NESTED, SHARES, D_IN, D_OUT, R, FIRST, SECOND, BIAS, H, Z, Y, DZ, DY, DH = range(14)
# of a convolution, after that: rows of an image; height, width and channels of its input, the kernel, the window of the
# pool behind it, and where its input and the gradient of that lie. Of another layer: 1 row, and a kernel of 0
POSITIONS, HEIGHT, WIDTH, CHANNELS, KERNEL, WINDOW_HEIGHT, WINDOW_WIDTH, IMAGE, DIMAGE = range(14, 23)
COLUMNS = 23
# columns of the table of parameters: where each lies, and whether it decays
START, STOP, DECAYS = range(3)


class Layout(NamedTuple):
    """Where the intermediates of a member lie."""

    layers: np.ndarray  # (L, COLUMNS) int64
    size: int  # numbers
    piece: int  # the most rows that go through the net together
    in_pieces: bool  # whether intermediates of the whole batch are never there together


def places(net, decays):
    """Lay out the parameters.

    Parameters
    ----------
    net : Chain
    decays : sequence of str
        Last parts of the names of the parameters that decay.

    Returns
    -------
    names : dict of str to (slice, shape)
        Where each parameter lies; see `shown`.
    parameters : ndarray of int64, shape (P, 3)
        The table; s is the last.
    """
    names, start = {}, 0
    shapes = net.shapes()
    for name in sorted(shapes, key=lambda name: name == "s"):  # s last
        names[name] = slice(start, start + int(np.prod(shapes[name]))), shapes[name]
        start = whole_lines(names[name][0].stop)
    parameters = [[at.start, at.stop, name.rpartition(".")[2] in decays] for name, (at, _) in names.items()]
    return names, np.array(parameters, np.int64)


def shown(buffer, names):
    """The parameters in a flat buffer, by name, as views.

    Kernels of convolutions lie channels last, and B transposed: a thin product with its columns as rows takes half the
    time.
    """
    return {name: _shown(buffer[at], name, shape) for name, (at, shape) in names.items()}


def _shown(numbers, name, shape):
    if name.endswith(".B"):
        return numbers.reshape(shape[::-1]).T
    if len(shape) < 4:
        return numbers.reshape(shape)
    count, channels, *kernel = shape
    return numbers.reshape(count, *kernel, channels).transpose(0, 3, 1, 2)


def offsets(layer, names):
    """Where the parameters of a layer lie: A or W, B or again W, b."""
    nested = layer.ranked
    return [names[f"{layer.key}.{name}"][0].start for name in ("ABb" if nested else "WWb")]


def layout(net, ranks, rows, names):
    """Lay out the intermediates of a multilayer perceptron.

    Parameters
    ----------
    net : MLP
    ranks : int, >= 1
        The most ranks of a step.
    rows : int, >= 1
        The most rows of a member.
    names : dict
        Of `places`.

    Returns
    -------
    Layout
    """
    linear = [layer for layer in net.layers if not isinstance(layer, Activation)]
    table, h, dh, cursor, stacked = [], 0, -1, whole_lines(rows * linear[0].d_in), rows
    for layer in linear:
        nested = isinstance(layer, NestedLinear)
        shares = nested and stacked == rows  # all ranks still have one input
        R_, before = layer.R if nested else 0, stacked
        stacked = ranks * rows if nested else stacked
        last = layer is linear[-1]
        hidden, out = whole_lines(before * R_), whole_lines(stacked * layer.d_out)
        z, y, dz = np.cumsum([cursor, hidden, out])
        dy = y if last else dz + hidden  # the gradient of the logits takes their place
        cursor = (dz if last else dy) + (hidden if last else out)
        intermediates = [h, z, y, dz, dy, dh, 1]
        row = [nested, shares, layer.d_in, layer.d_out, R_, *offsets(layer, names), *intermediates]
        table.append(row + [0] * (COLUMNS - len(row)))
        h, dh = y, dy
    return Layout(np.array(table, np.int64), int(cursor), rows, False)
