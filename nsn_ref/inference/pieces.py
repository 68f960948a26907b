"""A network at many ranks, piece by piece: up to the first nested layer they share one pass, each continuing the last.

Above it, ranks that lie near each other go through a layer together, at the largest of them.
"""

import math

import numpy as np

from nsn_ref import kernels
from nsn_ref.analysis.linear_layers import linear_layers
from nsn_ref.inference.one_rank import RELU
from nsn_ref.kernels.bias import add_bias_loop
from nsn_ref.kernels.common import plain
from nsn_ref.kernels.patches import as_matrix, patches
from nsn_ref.kernels.prefix import prefix_sums
from nsn_ref.nets.chain import run_forward
from nsn_ref.nets.conv_layers import NestedConv2d
from nsn_ref.nets.layers import NestedLinear

ROW_NUMBERS = 1 << 16  # numbers in the widest activation of the rows that are taken together
NUMBERS = 1 << 18  # and in that of the ranks that are taken together: what the second-level cache holds
SPREAD = 8  # how far ranks lie apart, at most, that are taken together: each pays for the components of the largest


def cut(net, x, ranks):
    """Slices of the rows that are taken together, and how many ranks are."""
    width = max(
        layer.positions * max(layer.d_in, layer.d_out, min(layer.R or 0, max(ranks)))
        for layer in linear_layers(net, x.shape)
    )
    height = max(1, min(len(x), ROW_NUMBERS // width))
    blocks = [slice(start, start + height) for start in range(0, len(x), height)]
    return blocks, max(1, NUMBERS // (height * width))


def pieces(net, params, x, ranks, count, space):
    """(indices into ranks, logits (K', n, C)), until all rows have been at every rank, `count` ranks at a time."""
    below, first, above = net.layers[: net.shared], net.layers[net.shared], net.layers[net.shared + 1 :]
    order = np.argsort(ranks, kind="stable")
    if not net.nested_layers:
        z, _ = run_forward(net.layers, params, x, (), kernels)
        yield order, np.broadcast_to(z, (len(order), *z.shape))
        return
    h, _ = run_forward(below, params, x, (), kernels)
    continued = _Continued(first, params, h, space)
    for at in _near(order, ranks, count):
        yield at, _above(above, params, continued.outputs(ranks[at]), ranks[at], space)


def _near(order, ranks, count):
    """Cut indices into ranks, sorted by rank, where there are `count` of them or the ranks lie too far apart."""
    while len(order):
        stop = min(count, np.searchsorted(ranks[order], ranks[order[0]] + SPREAD, side="right"))
        yield order[:stop]
        order = order[stop:]


class Space:
    """Arrays that are used again and again: new ones are slow, the system hands out their pages one by one."""

    def __init__(self, dtype):
        self.dtype, self.arrays = dtype, {}

    def take(self, name, *shape):
        """The array of that name, in a shape; what it holds is undefined."""
        size = math.prod(shape)
        if name not in self.arrays or self.arrays[name].size < size:
            self.arrays[name] = np.empty(size, self.dtype)
        return self.arrays[name][:size].reshape(shape)


class _Continued:
    """The first nested layer: each call goes on from the rank at which the last one ended."""

    def __init__(self, layer, params, x, space):
        A, B, b = (params[f"{layer.key}.{factor}"] for factor in "ABb")
        self.top, self.images, self.space = layer.R, None, space
        if isinstance(layer, NestedConv2d):
            seen = patches(x, A.shape[2:], (1, 1), (layer.kernel // 2,) * 2)
            self.images, x = seen.shape[1:], as_matrix(seen).T
        self.columns = np.ascontiguousarray(B.T)
        self.h = np.matmul(x, A.reshape(self.top, x.shape[1]).T)
        self.rank, self.y = 0, np.empty((len(self.h), len(b)), x.dtype)
        self.y[:] = b

    def outputs(self, ranks):
        """Outputs (K, n, ...) at ascending ranks, none below the last; the next call writes over them."""
        ranks = np.minimum(ranks, self.top)
        ys = self.space.take("outputs", len(ranks), *self.y.shape)
        prefix_sums(self.y, self.h, self.columns, self.rank, ranks, ys)
        self.rank, self.y[:] = ranks[-1], ys[-1]
        if self.images is None:
            return ys
        return np.ascontiguousarray(np.moveaxis(ys.reshape(len(ranks), *self.images, ys.shape[-1]), -1, 2))


def _above(layers, params, ys, ranks, space):
    """Logits (K, n, C) from the outputs (K, n, ...) of the first nested layer; all ranks at once where it goes."""
    K, n = ys.shape[:2]
    x = ys.reshape(K * n, *ys.shape[2:])
    for layer in layers:
        if layer == RELU:
            x, _ = kernels.relu_forward(x, out=space.take("relu", *x.shape))
        elif isinstance(layer, NestedLinear):
            x = _at_once(layer, params, x, np.minimum(ranks, layer.R), space)
        elif layer.ranked:
            parts = zip(x.reshape(K, n, *x.shape[1:]), ranks, strict=True)
            x = np.concatenate([layer.forward(params, part, min(int(r), layer.R), kernels)[0] for part, r in parts])
        else:
            x, _ = layer.forward(params, x, None, kernels)
    return x.reshape(K, n, x.shape[-1])


def _at_once(layer, params, x, ranks, space):
    """A nested layer on an input of its own for each rank: one pass at the largest, the others' components dropped."""
    A, B, b = (params[f"{layer.key}.{factor}"] for factor in "ABb")
    top = ranks.max()
    h = np.matmul(x, A[:top].T, out=space.take("h", len(x), top))
    for part, rank in zip(h.reshape(len(ranks), len(x) // len(ranks), top), ranks, strict=True):
        part[:, rank:] = 0
    y = np.matmul(h, B[:, :top].T, out=space.take(layer.key, len(x), len(b)))
    add_bias_loop(y, plain(b))
    return y
