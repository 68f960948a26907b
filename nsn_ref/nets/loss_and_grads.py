"""The loss of a network at several ranks under an objective, and every gradient of it."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref import ops as reference
from nsn_ref.nets.chain import hidden
from nsn_ref.nets.layers import sum_grads
from nsn_ref.nets.regularisers import check_regularisers, penalties
from nsn_ref.scalars import sqrt, zeros
from nsn_ref.training.weighting import as_objective, check_objective, weigh

# name of the loss: the stem of its operation
LOSSES = {"cross_entropy": "softmax_cross_entropy", "mean_squared_error": "mean_squared_error"}


class LossAndGrads(NamedTuple):
    """The outcome of one evaluation."""

    total: object  # number: the objective, and the regularisers
    losses: np.ndarray  # (K,)
    logits: np.ndarray  # (K, n, C)
    grads: dict  # str to ndarray, ``s`` among them
    dx: np.ndarray | None  # the shape of x; None where x are tokens
    penalties: dict  # str to number: what each regulariser adds to the total
    state: dict  # str to ndarray: the objective's next state


def loss_and_grads(
    net, params, x, targets, ranks, *, loss="cross_entropy", objective="uncertainty", state=None, regularisers=None,
    stop_anchor=False, ops=reference, **given,
):  # fmt: skip
    """Evaluate a network at K ranks, weigh the losses, and differentiate the total.

    Parameters
    ----------
    net : Chain
    params : dict of str to ndarray
    x : ndarray
        In the shape of the network's `input_axes`; tokens (n, T) of a Decoder.
    targets : ndarray
        Labels (n,), or targets in the shape of the logits. Of a Decoder labels (n, T), each of which the logits one
        place before it predict; those of -100 do not count.
    ranks : sequence of K ranks
        Each an int or a tuple; the first one is the anchor, the others are its variants.
    loss : {"cross_entropy", "mean_squared_error"}
    objective : Objective or str
        A str stands for `Objective` of that kind with its defaults.
    state : dict of str to ndarray, optional
        The objective's state, as the step before returned it. Default: that of the first step.
    regularisers : dict of str to number, optional
        Coefficients by name: "hard_orthogonality", "residual_orthogonality", "logits", "hidden".
    stop_anchor : bool
        Hold the anchor's outputs constant in the regularisers "logits" and "hidden".
    ops : module
        `nsn_ref.ops`, or `nsn_ref.kernels` for float32 and float64.
    **given
        What else the network's `forward_ranks` takes: of a Decoder mask and positions.

    Returns
    -------
    LossAndGrads

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, LabelError, OptionError

    Notes
    -----
    Source: arXiv:2509.17874v1, sec. 2.2, Eq. 3, and Table 1 for the regularisers.
    """
    checks.choice("loss_and_grads", "loss", loss, tuple(LOSSES))
    objective = as_objective("loss_and_grads", objective)
    check_objective("loss_and_grads", net, objective)
    check_regularisers("loss_and_grads", regularisers or {}, net)
    targets, options = net.loss_arguments("loss_and_grads", targets, loss)

    logits, saved = net.forward_ranks(params, x, ranks, ops, **given)
    loss_forward, loss_backward = (getattr(ops, f"{LOSSES[loss]}_{way}") for way in ("forward", "backward"))
    losses, contexts = zip(*(loss_forward(z, targets, **options) for z in logits), strict=True)
    losses = np.stack(losses)
    norms = _head_norms([loss_backward(1, c) for c in contexts], saved) if objective.kind == "gradnorm" else None
    s = params["s"] if "s" in params else zeros(net.R, like=losses)
    state = objective.start(net.R, s) if state is None else state
    layer_ranks = [net.layer_ranks(rank) for rank in ranks]
    slots = [max(own) if isinstance(rank, tuple | dict) else rank for rank, own in zip(ranks, layer_ranks, strict=True)]
    total, dlosses, ds, state = weigh(objective, losses, s, slots, ops, state, norms)

    outputs = [hidden(tail) for tail in saved.tails]
    extra = penalties(regularisers or {}, net.nested_layers, params, layer_ranks, logits, outputs, stop_anchor, ops)
    dlogits = np.stack([loss_backward(dloss, context) for dloss, context in zip(dlosses, contexts, strict=True)])
    grads, dx = net.backward_ranks(dlogits + extra.dlogits, saved, extra.dhidden)
    grads = sum_grads([grads, extra.grads, {"s": ds} if "s" in params else {}])
    return LossAndGrads(total + sum(extra.values.values()), losses, logits, grads, dx, extra.values, state)


def _head_norms(dlogits, saved):
    """2-norm of each loss's gradient with respect to the last layer, which all ranks share: shape (K,)."""
    norms = []
    for dz, tail in zip(dlogits, saved.tails, strict=True):
        _, grads = tail.layers[-1].backward(dz, tail.contexts[-1], tail.ops)
        norms.append(sqrt(sum((g * g).sum() for g in grads.values())))
    return np.stack(norms)
