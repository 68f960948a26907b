"""A network at many ranks: up to its first nested layer they share one pass, in which each rank continues the last.

Rows and ranks are taken in pieces, so that memory does not grow with either: what is kept is the result.
"""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks, kernels
from nsn_ref.analysis.frontier import linear_layers
from nsn_ref.errors import DTypeError
from nsn_ref.kernels.common import FLOATS, compiled, output, plain
from nsn_ref.kernels.patches import as_matrix, patches
from nsn_ref.kernels.prefix import prefix_sums
from nsn_ref.kernels.softmax_cross_entropy import exponentials_loop, flat_labels
from nsn_ref.kernels.sums import add
from nsn_ref.nets.chain import run_forward
from nsn_ref.nets.conv_layers import NestedConv2d
from nsn_ref.scalars import rows

ROW_NUMBERS = 1 << 17  # numbers in the widest activation of the rows that are taken together
NUMBERS = 1 << 16  # and in that of the ranks that are taken together: what the second-level cache holds


class RankScores(NamedTuple):
    """How well a classifier does at each of K ranks."""

    ranks: tuple  # K ints
    losses: np.ndarray  # (K,) float64: mean cross-entropy, nats
    accuracies: np.ndarray  # (K,) float64: share of the rows whose first largest logit is the label's


def logits_at_ranks(net, params, x, ranks=None, *, out=None):
    """Logits of a network at each of several ranks.

    Parameters
    ----------
    net : MLP or ConvNet
    params : dict of str to ndarray
        All float32 or all float64, as x.
    x : ndarray
        In the shape of the network's input.
    ranks : sequence of K ints in 1..R, optional
        In any order, duplicates allowed. Default: every rank.
    out : ndarray, optional
        Takes the logits.

    Returns
    -------
    ndarray, shape (K, n, C), or (K, B, T, C) for x of shape (B, T, d_in)

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError
    """
    name = "logits_at_ranks"
    ranks = _check(name, net, params, x, ranks)
    logits = output(name, out, (len(ranks), *net.logits_shape(x.shape)), x.dtype)
    x = _flat(net, x)
    flat = logits.reshape(len(ranks), len(x), logits.shape[-1])
    for some, at, z in _pieces(net, params, x, ranks):
        flat[at, some] = z
    return logits


def scores_at_ranks(net, params, x, labels, ranks=None):
    """Loss and accuracy of a classifier at each of several ranks; the logits are dropped piece by piece.

    A nested layer alone is a network: ``MLP((d_in, C), R, nested=(True,))``.

    Parameters
    ----------
    net, params, x, ranks
        As in `logits_at_ranks`; x is not empty.
    labels : ndarray of integers in 0..C-1
        In the shape of the logits without their last axis.

    Returns
    -------
    RankScores

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, LabelError
    """
    name = "scores_at_ranks"
    ranks = _check(name, net, params, x, ranks)
    *shape, classes = net.logits_shape(x.shape)
    checks.labels(name, "labels", labels, tuple(shape), classes)
    checks.not_empty(name, "x", x)
    labels, losses, correct = flat_labels(labels), np.zeros(len(ranks)), np.zeros(len(ranks), np.int64)
    for some, at, z in _pieces(net, params, _flat(net, x), ranks):
        z = plain(rows(z))
        top, e = np.empty(len(z), z.dtype), np.empty_like(z)
        exponentials_loop(z, top, e)
        score_loop(z, top, e, labels[some], at, losses, correct)
    losses /= labels.size
    checks.arrays(name, losses=(losses, "K"))
    return RankScores(tuple(ranks.tolist()), losses, correct / labels.size)


@compiled
def score_loop(z, top, e, labels, at, losses, correct):
    """Add the losses and the rows that are right, for ranks `at` on one axis with the rows; e = exp(z - top)."""
    for k in range(at.size):
        for i in range(labels.size):
            row, label = k * labels.size + i, labels[i]
            total = 0.0
            for j in range(z.shape[1]):
                total = add(total, float(e[row, j]))
            losses[at[k]] += np.log(total) - (z[row, label] - top[row])
            right = z[row, label] == top[row]
            for j in range(label):
                right &= z[row, j] != top[row]
            correct[at[k]] += right


def _check(name, net, params, x, ranks):
    net.check(name, params, x)
    if x.dtype not in FLOATS:
        raise DTypeError(f"{name}: x has dtype {x.dtype}, expected float32 or float64")
    ranks = tuple(range(1, net.R + 1)) if ranks is None else ranks
    checks.ranks(name, ranks, net.R)
    return np.array(ranks, np.int64)


def _flat(net, x):
    """One leading axis: vectors, or images."""
    return rows(x) if net.input_axes.startswith("...") else x


def _pieces(net, params, x, ranks):
    """(slice of the rows, indices into ranks, logits (K', n', C)), until every row has been at every rank."""
    below, first, above = net.layers[: net.shared], net.layers[net.shared], net.layers[net.shared + 1 :]
    width = max(layer.positions * max(layer.d_in, layer.d_out) for layer in linear_layers(net, x.shape))
    height = max(1, min(len(x), ROW_NUMBERS // width))
    count = max(1, NUMBERS // (height * width))
    order = np.argsort(ranks, kind="stable")
    for start in range(0, len(x), height):
        some = slice(start, start + height)
        if not net.nested_layers:
            z, _ = run_forward(net.layers, params, x[some], (), kernels)
            yield some, order, np.broadcast_to(z, (len(order), *z.shape))
            continue
        h, _ = run_forward(below, params, x[some], (), kernels)
        continued = _Continued(first, params, h)
        for i in range(0, len(order), count):
            at = order[i : i + count]
            yield some, at, _above(above, params, continued.outputs(ranks[at]), ranks[at])


class _Continued:
    """The first nested layer: each call goes on from the rank at which the last one ended."""

    def __init__(self, layer, params, x):
        A, B, b = (params[f"{layer.key}.{factor}"] for factor in "ABb")
        self.top, self.images = layer.R, None
        if isinstance(layer, NestedConv2d):
            seen = patches(x, A.shape[2:], (1, 1), (layer.kernel // 2,) * 2)
            self.images, x = seen.shape[1:], as_matrix(seen).T
        self.columns = np.ascontiguousarray(B.T)
        self.h = np.matmul(x, A.reshape(self.top, x.shape[1]).T)
        self.rank, self.y = 0, np.broadcast_to(b, (len(self.h), len(b)))

    def outputs(self, ranks):
        """Outputs (K, n, ...) at ascending ranks, none below the last."""
        ranks = np.minimum(ranks, self.top)
        ys = np.empty((len(ranks), *self.y.shape), self.h.dtype)
        prefix_sums(self.y, self.h, self.columns, self.rank, ranks, ys)
        self.rank, self.y = ranks[-1], ys[-1]
        if self.images is None:
            return ys
        return np.ascontiguousarray(np.moveaxis(ys.reshape(len(ranks), *self.images, ys.shape[-1]), -1, 2))


def _above(layers, params, ys, ranks):
    """Logits (K, n, C) from the outputs (K, n, ...) of the first nested layer; what has no rank takes all at once."""
    K, n = ys.shape[:2]
    x = ys.reshape(K * n, *ys.shape[2:])
    for layer in layers:
        if layer.ranked:
            parts = x.reshape(K, n, *x.shape[1:])
            each = [
                layer.forward(params, part, min(int(r), layer.R), kernels)[0]
                for part, r in zip(parts, ranks, strict=True)
            ]
            x = np.concatenate(each)
        else:
            x, _ = layer.forward(params, x, None, kernels)
    return x.reshape(K, n, x.shape[-1])
