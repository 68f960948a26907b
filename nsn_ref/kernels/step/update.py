"""The end of a step: norm of the gradients, clipping, and the optimiser's pass over each member's part."""

import math

import numpy as np

from nsn_ref.kernels.common import compiled
from nsn_ref.kernels.optimizers import adamw_loop, sgd_loop
from nsn_ref.kernels.step.layout import DECAYS, START, STOP
from nsn_ref.kernels.step.team import alone, barrier, share

ADAMW, SGD = range(2)
# columns of the rates; row 0 is for the parameters, row 1 for s, which is the last parameter and does not decay
LR, BETA1, REST1, BETA2, REST2, CORRECTION1, CORRECTION2, EPS, WEIGHT_DECAY = range(9)
# what each member finds; lanes for its sums come after
LARGEST, SQUARES, NON_FINITE, LANE = 0, 1, 2, 8
LANES, UNIT = 64, 16


@compiled
def part(member, row):
    """A member's part of a parameter."""
    first, last = share(member, row[STOP] - row[START], UNIT)
    return row[START] + first, row[START] + last


@compiled
def combine(member, parameters, gs):
    """Add the gradients that other members filled, but those of s, to the first; in the member's own part."""
    for i in range(len(parameters) - 1):
        first, last = part(member, parameters[i])
        for other in range(1, len(gs)):
            total, g = gs[0, first:last], gs[other, first:last]
            for j in range(total.size):
                total[j] += g[j]


@compiled
def sum_of_squares(g, factor, lanes):
    """Sum of (g factor)^2 in float64, in lanes that the compiler can keep side by side."""
    lanes[:] = 0
    whole = g.size - g.size % LANES
    for i in range(0, whole, LANES):
        for j in range(LANES):
            g_j = np.float64(g[i + j]) * factor
            lanes[j] += g_j * g_j
    total = lanes.sum()
    for i in range(whole, g.size):
        g_i = np.float64(g[i]) * factor
        total += g_i * g_i
    return total


@compiled
def largest_magnitude(g):
    """The largest absolute value; NaN if there is one."""
    largest = 0.0
    for i in range(g.size):
        magnitude = abs(np.float64(g[i]))
        if not magnitude <= largest:
            largest = magnitude
    return largest


@compiled
def count_non_finite(p):
    """How many numbers are infinite or NaN."""
    count, zero = 0, p.dtype.type(0)
    for i in range(p.size):
        count += 0 if p[i] * zero == zero else 1
    return count


@compiled
def clip(member, g, parameters, limit, found):
    """Scale the gradients, but those of s, to a joint norm of at most `limit`; returns the norm before.

    Squares are taken relative to a power of two near the largest magnitude, so they neither overflow nor underflow.
    """
    mine = found[member.me]
    mine[LARGEST] = mine[SQUARES] = 0
    for i in range(len(parameters) - 1):
        first, last = part(member, parameters[i])
        magnitude = largest_magnitude(g[first:last])
        if not magnitude <= mine[LARGEST]:
            mine[LARGEST] = magnitude
    barrier(member)
    largest = found[:, LARGEST].max()
    if not 0 < largest < np.inf:
        return largest
    factor = math.ldexp(1.0, min(-math.frexp(largest)[1], 1000))
    for i in range(len(parameters) - 1):
        first, last = part(member, parameters[i])
        mine[SQUARES] += sum_of_squares(g[first:last], factor, mine[LANE:])
    barrier(member)
    relative = np.sqrt(found[:, SQUARES].sum())
    if relative / factor > limit:
        for i in range(len(parameters) - 1):
            first, last = part(member, parameters[i])
            for j in range(first, last):
                g[j] = g.dtype.type((g[j] * factor) * (limit / relative))
    return relative / factor


@compiled
def update(member, optimizer, parameters, rates, p, g, m, v, found, measures):
    """One optimiser step in place; counts what is not finite after it, and sums the squares of the gradients before.

    Member 0, who has just found the gradient of s, takes all of s.
    """
    mine, number = found[member.me], p.dtype.type
    mine[NON_FINITE] = 0
    if measures:
        mine[SQUARES] = 0
    for i in range(len(parameters)):
        is_s = i == len(parameters) - 1
        if is_s and member.me > 0:
            continue
        rate = rates[1 if is_s else 0]
        decay = number(rate[WEIGHT_DECAY] if parameters[i, DECAYS] else 0.0)
        first, last = part(alone(member) if is_s else member, parameters[i])
        if measures and not is_s:
            mine[SQUARES] += sum_of_squares(g[first:last], 1.0, mine[LANE:])
        if optimizer == ADAMW:
            adamw_loop(
                p[first:last], g[first:last], m[first:last], v[first:last], number(rate[LR]),
                number(rate[BETA1]), number(rate[REST1]), number(rate[BETA2]), number(rate[REST2]),
                number(rate[CORRECTION1]), number(rate[CORRECTION2]), number(rate[EPS]), decay,
            )  # fmt: skip
        else:
            sgd_loop(p[first:last], g[first:last], m[first:last], number(rate[LR]), number(rate[BETA1]), decay)
        mine[NON_FINITE] += count_non_finite(p[first:last])
