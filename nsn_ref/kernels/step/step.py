"""A whole training step as one compiled function, which all members of a team run."""

from typing import NamedTuple

import numpy as np

from nsn_ref.kernels.common import compiled
from nsn_ref.kernels.objective import objective_backward_loop, objective_forward_loop
from nsn_ref.kernels.step.images import bias_relu_pool, patches, relu_pool_backward, sum_of_patches
from nsn_ref.kernels.step.layout import BIAS, D_OUT, DH, KERNEL, NESTED, POSITIONS, SHARES, START, Y
from nsn_ref.kernels.step.passes import (
    Space,
    bias_relu,
    dense_backward,
    dense_forward,
    dense_weights,
    nested_backward,
    nested_forward,
    nested_weights,
    relu_backward,
    view,
)
from nsn_ref.kernels.step.softmax import softmax_cross_entropy_rows
from nsn_ref.kernels.step.team import (
    CLOSED,
    TICKET,
    alone,
    atomic_add,
    atomic_load,
    barrier,
    cut,
    share,
    wait_while,
)
from nsn_ref.kernels.step.update import NON_FINITE, SQUARES, clip, combine, update

N, K, VARIANT, OPTIMIZER, DONE = range(5)  # in `Order.sizes`
TOTAL, NORM, BAD = range(3)  # in `Order.results`; BAD: parameters that are not finite
GIVEN = -1  # the variant of an objective whose weights are given


class Model(NamedTuple):
    """What stays from step to step, or is changed by it in place."""

    layers: np.ndarray  # int64: the layout's tables
    parameters: np.ndarray
    space: Space
    piece: int  # the most rows of a member that go through the net together
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
    ranks, w = order.ranks[: order.sizes[K]], model.space.w[member.me]
    first, last = share(member, order.sizes[N], 1)
    order.losses[member.me] = 0
    pieces = max(1, (last - first + model.piece - 1) // model.piece)
    for i in range(pieces):
        low, high = cut(last - first, 1, i, pieces)
        forward(model, w, ranks, high - low, low)
        loss(member, model, order, w, ranks, (first + low, first + high))
        backward(model, w, ranks, high - low)
        own_gradients(member, model, ranks, high - low, i == 0)
    gradients(member, model, ranks, order.sizes[N])
    if member.me == 0:
        total(model, order, ranks)  # s is member 0's own
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
    weigh(model, order, order.ranks[: order.sizes[K]])  # before anybody else begins
    atomic_add(member.sync, TICKET, 1)
    step(member, model, order)
    order.sizes[DONE] += 1
    return -1


@compiled
def forward(model, w, ranks, n, first):
    """The logits of n rows of the batch, without the last bias; the member's row `first` is the first of them."""
    rows, last = n, len(model.layers) - 1
    for i in range(last + 1):
        layer = model.layers[i]
        if layer[KERNEL] > 0:
            patches(w, layer, rows, first if i == 0 else 0)
        if layer[NESTED]:
            nested_forward(model.space, w, layer, ranks, n * layer[POSITIONS])
            rows = n * ranks.size
        else:
            dense_forward(model.space, w, layer, rows * layer[POSITIONS])
        if layer[KERNEL] > 0:
            bias_relu_pool(w, layer, bias(model.space.p, layer), model.layers[i + 1], rows)
        elif i < last:
            bias_relu(view(w, layer[Y], rows, layer[D_OUT]), bias(model.space.p, layer))


@compiled
def backward(model, w, ranks, n):
    """The gradient of every intermediate, from that of the logits."""
    rows = n * ranks.size
    for i in range(len(model.layers) - 1, -1, -1):
        layer, below = model.layers[i], model.layers[max(i - 1, 0)]
        if layer[NESTED]:
            nested_backward(model.space, w, layer, ranks, n * layer[POSITIONS], layer[DH])
            rows = n if layer[SHARES] else rows
        elif i > 0:
            dense_backward(model.space, w, layer, rows * layer[POSITIONS], layer[DH])
        if i == 0:
            continue
        if layer[KERNEL] > 0:
            sum_of_patches(w, layer, rows)
        if below[KERNEL] > 0:
            relu_pool_backward(w, below, layer, rows)
        else:
            size = rows * below[D_OUT]
            relu_backward(w[below[Y] : below[Y] + size], w[layer[DH] : layer[DH] + size])


@compiled
def own_gradients(member, model, ranks, n, fresh):
    """The gradients of all parameters but s over n rows of the member's own, where each member has room for them."""
    space, me = model.space, member.me
    if len(space.g) == member.threads:
        mine = Space(space.p, space.g[me : me + 1], space.w[me : me + 1], space.gemm)
        weights(alone(member), model.layers, mine, ranks, n, fresh)


@compiled
def gradients(member, model, ranks, batch):
    """The gradients of all parameters but s, which sum over the rows of all members.

    Where gradients are smaller than intermediates, which would have to go from core to core, each member has found its
    `own_gradients`, for `combine` to add up; else it computes its part of them from everybody's intermediates.
    """
    if len(model.space.g) < member.threads:
        barrier(member)
        weights(member, model.layers, model.space, ranks, batch, True)
    barrier(member)


@compiled
def weights(member, layers, space, ranks, batch, fresh):
    """The member's part of the gradients, over the rows of all intermediates in `space`."""
    stacked = 1
    for i in range(len(layers)):
        layer = layers[i]
        if layer[NESTED]:
            nested_weights(member, space, layer, ranks, batch, fresh)
            stacked = ranks.size
        else:
            dense_weights(member, space, layer, stacked, batch, fresh)


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
def loss(member, model, order, w, ranks, rows):
    """What the member's rows add to the losses, and the gradient of the total over their logits."""
    head, n = model.layers[len(model.layers) - 1], rows[1] - rows[0]
    z, labels = view(w, head[Y], n * ranks.size, head[D_OUT]), order.labels[rows[0] : rows[1]]
    b, losses = bias(model.space.p, head), order.losses[member.me]
    softmax_cross_entropy_rows(z, b, labels, order.sizes[N], order.weights, losses)


@compiled
def total(model, order, ranks):
    """The losses, their total, and the gradient of s."""
    losses, weights = order.mean_losses[: ranks.size], order.weights[: ranks.size]
    for k in range(ranks.size):
        losses[k] = order.losses[:, k].sum()
    s, ds = log_variances(model, model.space.p), log_variances(model, model.space.g[0])
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
    g, norm = space.g[0], 0.0
    combine(member, model.parameters, space.g)
    if limit < np.inf:
        norm = clip(member, g, model.parameters, limit, found)
    update(
        member, order.sizes[OPTIMIZER], model.parameters, order.rates, space.p, g, model.m, model.v, found,
        limit == np.inf,
    )  # fmt: skip
    barrier(member)
    if member.me == 0:
        order.results[NORM] = norm if limit < np.inf else np.sqrt(found[:, SQUARES].sum())
        order.results[BAD] = found[:, NON_FINITE].sum()
