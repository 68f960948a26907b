"""Where everything lies in the training step of a convolutional net.

A convolution is a linear layer over patches: each position of each image is a row. Images lie channels last, with the
zeros around them that the kernel reads, so what it sees of one line of an image lies together. A member takes a few
images at a time through the whole net and back, so that their patches stay in its cache; the batch alone lies there as
a whole. The gradient of a convolution's output takes the place of the output, of which only the signs are still needed.
"""

import math

import numpy as np

from nsn_ref.kernels.step.layout import (
    BIAS,
    CHANNELS,
    COLUMNS,
    D_IN,
    D_OUT,
    DH,
    DIMAGE,
    DY,
    DZ,
    FIRST,
    HEIGHT,
    IMAGE,
    KERNEL,
    NESTED,
    POSITIONS,
    SECOND,
    SHARES,
    WIDTH,
    WINDOW_HEIGHT,
    WINDOW_WIDTH,
    H,
    Layout,
    R,
    Y,
    Z,
    offsets,
)
from nsn_ref.nets.conv_layers import AveragePool2d, GlobalAveragePool2d

CACHE = 1 << 20  # bytes of a second-level cache, or about that
PER_IMAGE = [H, Z, Y, DZ, DY, DH, IMAGE, DIMAGE]


def image_layout(net, image, ranks, rows, names, itemsize):
    """Lay out the intermediates of a convolutional net.

    Parameters
    ----------
    net : ConvNet
    image : (int, int)
        Height and width.
    ranks, rows, names
        As for `layout.layout`.
    itemsize : int
        Bytes of a number.

    Returns
    -------
    Layout
    """
    table, size = _of_one_image(net, image, ranks, names)
    piece = min(rows, max(1, CACHE // (itemsize * size)))
    base = rows * math.prod(padded_shape(table[0]))
    places = table[:, PER_IMAGE]
    table[:, PER_IMAGE] = np.where(places >= 0, base + piece * places, places)
    table[0, IMAGE] = 0
    return Layout(table, base + piece * size, piece, True)


def padded_shape(layer):
    """Height, width and channels of an input image with its border."""
    border = max(layer[KERNEL] - 1, 0)
    return int(layer[HEIGHT] + border), int(layer[WIDTH] + border), int(layer[CHANNELS])


def _of_one_image(net, image, ranks, names):
    """The table for one image in a piece, and the numbers that it needs."""
    (height, width), table, cursor, stacked = image, [], 0, 1

    def take(count):
        nonlocal cursor
        cursor += count
        return cursor - count

    for layer in net.layers:
        if isinstance(layer, AveragePool2d):
            table[-1][[WINDOW_HEIGHT, WINDOW_WIDTH]] = layer.size
            height, width = height // layer.size, width // layer.size
        elif isinstance(layer, GlobalAveragePool2d):
            table[-1][[WINDOW_HEIGHT, WINDOW_WIDTH]] = height, width
            height, width = 1, 1
        elif layer.shapes():
            row, first = np.zeros(COLUMNS, np.int64), not table
            table.append(row)
            row[NESTED], row[SHARES] = layer.ranked, layer.ranked and stacked == 1
            row[[FIRST, SECOND, BIAS]] = offsets(layer, names)
            row[R] = layer.R if layer.ranked else 0
            row[KERNEL] = getattr(layer, "kernel", 0)
            row[CHANNELS], row[D_OUT] = (layer.c_in, layer.c_out) if row[KERNEL] else (layer.d_in, layer.d_out)
            row[D_IN] = row[CHANNELS] * max(row[KERNEL], 1) ** 2
            row[HEIGHT], row[WIDTH], row[POSITIONS] = height, width, height * width
            images, positions = stacked * math.prod(padded_shape(row)), stacked * height * width
            row[IMAGE], row[DIMAGE] = take(0 if first else images), -1 if first else take(images)
            if row[KERNEL]:
                row[H], row[DH] = take(positions * row[D_IN]), -1 if first else take(positions * row[D_IN])
            else:
                row[H], row[DH] = row[IMAGE], row[DIMAGE]
            row[Z], row[DZ] = take(positions * row[R]), take(positions * row[R])
            stacked = ranks if layer.ranked else stacked
            row[Y] = row[DY] = take(stacked * height * width * row[D_OUT])
    return np.array(table), cursor
