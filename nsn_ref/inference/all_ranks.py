"""A network at many ranks in one call: its logits, or only how well it does.

Rows and ranks are taken in pieces, so that memory does not grow with either: what is kept is the result. Blocks of rows
go side by side in threads; how they are cut, and so each number, does not depend on how many there are.
"""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import DTypeError
from nsn_ref.inference.pieces import Space, cut, pieces
from nsn_ref.inference.threads import side_by_side
from nsn_ref.kernels.common import FLOATS, compiled, output, plain
from nsn_ref.kernels.softmax_cross_entropy import exponentials_loop, flat_labels
from nsn_ref.kernels.sums import add
from nsn_ref.scalars import rows


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
    ndarray, shape (K, n, C), or (K, n, T, C) for x of shape (n, T, d_in)

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError
    """
    name = "logits_at_ranks"
    ranks = _check(name, net, params, x, ranks)
    logits = output(name, out, (len(ranks), *net.logits_shape(x.shape)), x.dtype)
    x = _flat(net, x)
    flat = logits.reshape(len(ranks), len(x), logits.shape[-1])
    blocks, count = cut(net, x, ranks)

    def fill(blocks):
        space = Space(x.dtype)
        for block in blocks:
            for at, z in pieces(net, params, x[block], ranks, count, space):
                flat[at, block] = z

    side_by_side(fill, blocks)
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
    x, labels = _flat(net, x), flat_labels(labels)
    blocks, count = cut(net, x, ranks)
    losses, correct = np.zeros((len(blocks), len(ranks))), np.zeros((len(blocks), len(ranks)), np.int64)

    def score(numbered_blocks):
        space = Space(x.dtype)
        for i, block in numbered_blocks:
            for at, z in pieces(net, params, x[block], ranks, count, space):
                z = plain(rows(z))
                top, e = np.empty(len(z), z.dtype), np.empty_like(z)
                exponentials_loop(z, top, e)
                score_loop(z, top, e, labels[block], at, losses[i], correct[i])

    side_by_side(score, list(enumerate(blocks)))
    losses, correct = losses.sum(axis=0) / labels.size, correct.sum(axis=0)
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
