"""A whole training step of a multilayer perceptron as one compiled function, which all members of a team run."""

from typing import NamedTuple

import numpy as np

from nsn_ref.kernels.common import compiled
from nsn_ref.kernels.objective import objective_backward_loop, objective_forward_loop
from nsn_ref.kernels.step.layout import BIAS, D_OUT, NESTED, SHARES, START, D, Y
from nsn_ref.kernels.step.passes import (
    UNIT,
    Space,
    bias_backward,
    bias_relu,
    dense_backward,
    dense_forward,
    nested_backward,
    nested_forward,
    relu_bias_backward,
    view,
)
from nsn_ref.kernels.step.softmax import softmax_cross_entropy_rows
from nsn_ref.kernels.step.team import CLOSED, TICKET, atomic_add, atomic_load, barrier, share, wait_while
from nsn_ref.kernels.step.update import NON_FINITE, SQUARES, clip, update

N, K, VARIANT, OPTIMIZER, DONE = range(5)  # in `Order.sizes`
TOTAL, NORM, BAD = range(3)  # in `Order.results`; BAD: parameters that are not finite
GIVEN = -1  # the variant of an objective whose weights are given


class Model(NamedTuple):
    """What stays from step to step, or is changed by it in place."""

    layers: np.ndarray  # int64: the layout's tables
    parameters: np.ndarray
    dz: int
    space: Space
    m: np.ndarray  # first moment, or momentum
    v: np.ndarray  # second moment; of no use to gradient descent


class Order(NamedTuple):
    """What a step is to do, and what came of it."""

    sizes: np.ndarray  # int64: N rows, K ranks, VARIANT of the objective, OPTIMIZER, steps DONE
    labels: np.ndarray  # (rows at most,) int64
    ranks: np.ndarray  # (ranks at most,) int64, descending
    weights: np.ndarray  # (ranks at most,) of the losses; read where the variant is GIVEN, else written
    rates: np.ndarray  # (2, 9) float64
    limit: np.ndarray  # (1,) float64: largest norm of the gradients, infinite for none
    losses: np.ndarray  # (threads, ranks at most) float64: what each member's rows add
    mean_losses: np.ndarray  # (ranks at most,)
    dlosses: np.ndarray  # (ranks at most,)
    found: np.ndarray  # (threads, 72) float64
    results: np.ndarray  # (3,) float64


@compiled
def step(member, model, order):
    """One member's share of a step."""
    n, ranks = order.sizes[N], order.ranks[: order.sizes[K]]
    order.losses[member.me] = 0
    if member.me == 0:
        weigh(model, order, ranks)
    barrier(member)
    forward(member, model, ranks, n)
    loss(member, model, order, ranks, n)
    barrier(member)
    if member.me == 0:
        total(model, order, ranks)
    backward(member, model, ranks, n)
    barrier(member)
    finish(member, model, order)


@compiled
def serve(member, model, order):
    """Run a step whenever the calling thread does, until the team is closed."""
    ticket = 0
    while True:
        wait_while(member, TICKET, ticket)
        if atomic_load(member.sync, CLOSED):
            return
        ticket += 1
        step(member, model, order)


@compiled
def lead(member, model, order):
    """Run a step with the rest of the team; returns -1, or the place of a bad label, and then nothing was done."""
    head = model.layers[len(model.layers) - 1]
    for i in range(order.sizes[N]):
        if not 0 <= order.labels[i] < head[D_OUT]:
            return i
    atomic_add(member.sync, TICKET, 1)
    step(member, model, order)
    order.sizes[DONE] += 1
    return -1


@compiled
def forward(member, model, ranks, n):
    """The logits, without the last bias."""
    rows, last = n, len(model.layers) - 1
    for i in range(last + 1):
        layer = model.layers[i]
        if layer[NESTED]:
            nested_forward(member, model.space, layer, ranks, n)
            rows = n * ranks.size
        else:
            dense_forward(member, model.space, layer, rows)
        if i < last:
            columns = share(member, layer[D_OUT], UNIT)
            bias_relu(view(model.space.w, layer[Y], rows, layer[D_OUT]), bias(model.space.p, layer), columns)
        barrier(member)


@compiled
def backward(member, model, ranks, n):
    """All gradients of the parameters but s."""
    space, rows = model.space, n * ranks.size
    head = model.layers[len(model.layers) - 1]
    d = view(space.w, head[D], rows, head[D_OUT])
    bias_backward(d, bias(space.g, head), share(member, head[D_OUT], UNIT))
    for i in range(len(model.layers) - 1, -1, -1):
        layer, below = model.layers[i], model.layers[max(i - 1, 0)]
        dh = below[D] if i > 0 else -1
        if layer[NESTED]:
            nested_backward(member, space, layer, ranks, n, model.dz, dh)
            rows = n if layer[SHARES] else rows
        else:
            dense_backward(member, space, layer, rows, dh)
        if i > 0:
            d, y = view(space.w, below[D], rows, below[D_OUT]), view(space.w, below[Y], rows, below[D_OUT])
            relu_bias_backward(d, y, bias(space.g, below), share(member, below[D_OUT], UNIT))


@compiled
def bias(buffer, layer):
    """The bias of a layer, or its gradient."""
    return buffer[layer[BIAS] : layer[BIAS] + layer[D_OUT]]


@compiled
def log_variances(model, buffer):
    """s, the last parameter, or its gradient."""
    return buffer[model.parameters[len(model.parameters) - 1, START] :]


@compiled
def weigh(model, order, ranks):
    """The weights of the losses, which do not depend on the losses."""
    if order.sizes[VARIANT] != GIVEN:
        s, nothing = log_variances(model, model.space.p), order.mean_losses[: ranks.size]
        nothing[:] = 0
        objective_forward_loop(nothing, s, ranks, order.sizes[VARIANT], order.weights[: ranks.size])


@compiled
def loss(member, model, order, ranks, n):
    """What the member's rows add to the losses, and the gradient of the total over their logits."""
    head = model.layers[len(model.layers) - 1]
    z = view(model.space.w, head[Y], n * ranks.size, head[D_OUT])
    rows = share(member, n * ranks.size, 1)
    b, losses = bias(model.space.p, head), order.losses[member.me]
    softmax_cross_entropy_rows(z, b, order.labels, n, order.weights, rows, losses)


@compiled
def total(model, order, ranks):
    """The losses, their total, and the gradient of s."""
    losses, weights = order.mean_losses[: ranks.size], order.weights[: ranks.size]
    for k in range(ranks.size):
        losses[k] = order.losses[:, k].sum()
    s, ds = log_variances(model, model.space.p), log_variances(model, model.space.g)
    if order.sizes[VARIANT] == GIVEN:
        ds[:] = 0
        order.results[TOTAL] = 0
        for k in range(ranks.size):
            order.results[TOTAL] += weights[k] * losses[k]
    else:
        variant, one = order.sizes[VARIANT], losses.dtype.type(1)
        order.results[TOTAL] = objective_forward_loop(losses, s, ranks, variant, weights)
        objective_backward_loop(one, losses, s, weights, ranks, variant, order.dlosses[: ranks.size], ds)


@compiled
def finish(member, model, order):
    """Clip, and update the member's part of the parameters."""
    space, found, limit = model.space, order.found, order.limit[0]
    norm = 0.0
    if limit < np.inf:
        norm = clip(member, space.g, model.parameters, limit, found)
    update(
        member, order.sizes[OPTIMIZER], model.parameters, order.rates, space.p, space.g, model.m, model.v, found,
        limit == np.inf,
    )  # fmt: skip
    barrier(member)
    if member.me == 0:
        order.results[NORM] = norm if limit < np.inf else np.sqrt(found[:, SQUARES].sum())
        order.results[BAD] = found[:, NON_FINITE].sum()
