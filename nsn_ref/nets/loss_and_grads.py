"""The loss of a network at several ranks under an objective, and every gradient of it."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref import ops as reference
from nsn_ref.training.weighting import weigh

# name of the loss: the stem of its operation
LOSSES = {"cross_entropy": "softmax_cross_entropy", "mean_squared_error": "mean_squared_error"}


class LossAndGrads(NamedTuple):
    """The outcome of one evaluation."""

    total: object  # number: the objective
    losses: np.ndarray  # (K,)
    logits: np.ndarray  # (K, n, C)
    grads: dict  # str to ndarray, ``s`` among them
    dx: np.ndarray  # the shape of x


def loss_and_grads(net, params, x, targets, ranks, *, loss="cross_entropy", objective="uncertainty", ops=reference):
    """Evaluate a network at K ranks, weigh the losses, and differentiate the total.

    Parameters
    ----------
    net : Chain
    params : dict of str to ndarray
    x : ndarray
        In the shape of the network's `input_axes`.
    targets : ndarray
        Labels (n,), or targets in the shape of the logits.
    ranks : sequence of K ranks
        Each an int or a tuple; the first one is the anchor, the others are its variants.
    loss : {"cross_entropy", "mean_squared_error"}
    objective : str
        One of `nsn_ref.training.weighting.OBJECTIVES`.
    ops : module
        `nsn_ref.ops`, or `nsn_ref.kernels` for float32 and float64.

    Returns
    -------
    LossAndGrads

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, LabelError, OptionError

    Notes
    -----
    Source: arXiv:2509.17874v1, sec. 2.2, Eq. 3.
    """
    checks.choice("loss_and_grads", "loss", loss, tuple(LOSSES))
    loss_forward, loss_backward = (getattr(ops, f"{LOSSES[loss]}_{way}") for way in ("forward", "backward"))
    logits, saved = net.forward_ranks(params, x, ranks, ops)
    losses, contexts = zip(*(loss_forward(z, targets) for z in logits), strict=True)
    losses = np.stack(losses)
    slots = [max(rank) if isinstance(rank, tuple) else rank for rank in ranks]
    total, dlosses, ds = weigh(objective, losses, params["s"], slots, ops)
    dlogits = np.stack([loss_backward(dloss, context) for dloss, context in zip(dlosses, contexts, strict=True)])
    grads, dx = net.backward_ranks(dlogits, saved)
    return LossAndGrads(total, losses, logits, grads | {"s": ds}, dx)
