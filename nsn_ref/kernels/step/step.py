"""A whole training step as one compiled function, which all members of a team run."""

from typing import NamedTuple

import numpy as np
from numba import types
from numba.experimental import structref

from nsn_ref.kernels.common import compiled
from nsn_ref.kernels.objective import objective_backward_loop, objective_forward_loop
from nsn_ref.kernels.step.images import bias_relu_pool, load_images, patches, relu_pool_backward, sum_of_patches
from nsn_ref.kernels.step.layout import BIAS, D_OUT, DH, KERNEL, NESTED, POSITIONS, SHARES, START, STOP, H, Y
from nsn_ref.kernels.step.memory import at_address
from nsn_ref.kernels.step.passes import (
    Space,
    bias_relu,
    copy,
    dense_backward,
    dense_forward,
    dense_weights,
    nested_backward,
    nested_forward,
    nested_weights,
    own,
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
from nsn_ref.kernels.step.update import NON_FINITE, SQUARES, clip, combine, hand_over, update

# in `Order.sizes`: rows, ranks, variant of the objective, optimiser, steps done, address of the batch, numbers in a row
N, K, VARIANT, OPTIMIZER, DONE, X, ROW = range(7)
TOTAL, NORM, BAD = range(3)  # in `Order.results`; BAD: not 0 where parameters are not finite
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

    sizes: np.ndarray  # int64: N, K, ...
    labels: np.ndarray  # (rows at most,) int64
    ranks: np.ndarray  # (ranks at most,) int64, descending
    weights: np.ndarray  # (ranks at most,) of the losses; read where the variant is GIVEN, else written
    rates: np.ndarray  # (2, 9) float64
    limit: np.ndarray  # (1,) float64: largest norm of the gradients, infinite for none
    losses: np.ndarray  # (threads, ranks at most, or more) float64: what each member's rows add
    mean_losses: np.ndarray  # (ranks at most,)
    dlosses: np.ndarray  # (ranks at most,)
    found: np.ndarray  # (threads, 8) float64
    results: np.ndarray  # (3,) float64


@compiled
def step(member, model, order):
    """One member's share of a step."""
    ranks, mine = order.ranks[: order.sizes[K]], own(model.space, member.me)
    first, last = share(member, order.sizes[N], 1)
    load(model, order, mine.w, first, last)
    order.losses[member.me] = 0
    pieces = max(1, (last - first + model.piece - 1) // model.piece)
    for i in range(pieces):
        low, high = cut(last - first, 1, i, pieces)
        forward(model, mine, ranks, high - low, low)
        loss(member, model, order, mine, ranks, (first + low, first + high))
        backward(model, mine, ranks, high - low)
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


@structref.register
class _LeadType(types.StructRef):
    """The compiler's name for `Lead`."""


class Lead(structref.StructRefProxy):
    """What the calling thread knows, by one reference: Python would hand over two dozen arrays anew at each step."""

    def __new__(cls, member, model, order):
        """Made by compiled code, which is cached; the class alone would compile it in every process."""
        return _hold(member, model, order)


structref.define_proxy(Lead, _LeadType, ["member", "model", "order"])


@compiled
def _hold(member, model, order):
    return Lead(member, model, order)


@compiled
def lead(held, x, labels):
    """Run a step with the rest of the team; returns -1, or the place of a bad label, and then nothing was done."""
    member, model, order = held.member, held.model, held.order
    classes = model.layers[len(model.layers) - 1, D_OUT]
    for i in range(labels.size):
        if not 0 <= labels[i] < classes:
            return i
        order.labels[i] = labels[i]
    order.sizes[X] = x.ctypes.data
    weigh(model, order, order.ranks[: order.sizes[K]])  # before anybody else begins
    atomic_add(member.sync, TICKET, 1)
    step(member, model, order)
    order.sizes[DONE] += 1
    return -1


@compiled
def load(model, order, w, first, last):
    """Fetch the member's rows of the batch: lines that another core wrote would come, and go back, one by one."""
    bottom, size = model.layers[0], order.sizes[ROW]
    x = at_address(order.sizes[X] + first * size * w.itemsize, (last - first) * size, w)
    if bottom[KERNEL] > 0:
        load_images(x, w, bottom, last - first)
    else:
        copy(x, w[bottom[H] : bottom[H] + x.size])


@compiled
def forward(model, mine, ranks, n, first):
    """The logits of n rows of the batch, without the last bias; the member's row `first` is the first of them."""
    rows, last = n, len(model.layers) - 1
    for i in range(last + 1):
        layer = model.layers[i]
        if layer[KERNEL] > 0:
            patches(mine.w, layer, rows, first if i == 0 else 0)
        if layer[NESTED]:
            nested_forward(mine, layer, ranks, n * layer[POSITIONS])
            rows = n * ranks.size
        else:
            dense_forward(mine, layer, rows * layer[POSITIONS])
        if layer[KERNEL] > 0:
            bias_relu_pool(mine.w, layer, bias(mine.p, layer), model.layers[i + 1], rows)
        elif i < last:
            bias_relu(view(mine.w, layer[Y], rows, layer[D_OUT]), bias(mine.p, layer))


@compiled
def backward(model, mine, ranks, n):
    """The gradient of every intermediate, from that of the logits."""
    rows, w = n * ranks.size, mine.w
    for i in range(len(model.layers) - 1, -1, -1):
        layer, below = model.layers[i], model.layers[max(i - 1, 0)]
        if layer[NESTED]:
            nested_backward(mine, layer, ranks, n * layer[POSITIONS], layer[DH])
            rows = n if layer[SHARES] else rows
        elif i > 0:
            dense_backward(mine, layer, rows * layer[POSITIONS], layer[DH])
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
    s = model.parameters[len(model.parameters) - 1]
    return buffer[s[START] : s[STOP]]


@compiled
def weigh(model, order, ranks):
    """The weights of the losses, which do not depend on the losses."""
    if order.sizes[VARIANT] != GIVEN:
        s, nothing = log_variances(model, model.space.p[0]), order.mean_losses[: ranks.size]
        nothing[:] = 0
        objective_forward_loop(nothing, s, ranks, order.sizes[VARIANT], order.weights[: ranks.size])


@compiled
def loss(member, model, order, mine, ranks, rows):
    """What the member's rows add to the losses, and the gradient of the total over their logits."""
    head, n = model.layers[len(model.layers) - 1], rows[1] - rows[0]
    z, labels = view(mine.w, head[Y], n * ranks.size, head[D_OUT]), order.labels[rows[0] : rows[1]]
    b, losses = bias(mine.p, head), order.losses[member.me]
    softmax_cross_entropy_rows(z, b, labels, order.sizes[N], order.weights, losses)


@compiled
def total(model, order, ranks):
    """The losses, their total, and the gradient of s."""
    losses, weights = order.mean_losses[: ranks.size], order.weights[: ranks.size]
    for k in range(ranks.size):
        losses[k] = order.losses[:, k].sum()
    s, ds = log_variances(model, model.space.p[0]), log_variances(model, model.space.g[0])
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
    p = own(space, member.me).p
    update(
        member, order.sizes[OPTIMIZER], model.parameters, order.rates, p, g, model.m, model.v, found, limit == np.inf
    )
    hand_over(member, model.parameters, space.p)
    barrier(member)
    if member.me == 0:
        order.results[NORM] = norm if limit < np.inf else np.sqrt(found[:, SQUARES].sum())
        order.results[BAD] = found[:, NON_FINITE].sum()
