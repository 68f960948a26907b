"""The end of a step: norm of the gradients, clipping, and the optimiser's pass over each member's part."""

import math

import numpy as np

from nsn_ref.kernels.common import compiled
from nsn_ref.kernels.optimizers import adamw_loop, sgd_loop
from nsn_ref.kernels.step.layout import DECAYS, START, STOP
from nsn_ref.kernels.step.team import alone, barrier, share
from nsn_ref.kernels.streaming import finish_writing, stream
from nsn_ref.kernels.sums import add

ADAMW, SGD = range(2)
# columns of the rates; row 0 is for the parameters, row 1 for s, which is the last parameter and does not decay
LR, BETA1, REST1, BETA2, REST2, CORRECTION1, CORRECTION2, EPS, WEIGHT_DECAY = range(9)
LARGEST, SQUARES, NON_FINITE, FOUND = 0, 1, 2, 8  # what each member finds, in a line of memory of its own
UNIT = 16


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
def sum_of_squares(g, factor):
    """Sum of (g factor)^2 in float64."""
    total = 0.0
    for i in range(g.size):
        g_i = np.float64(g[i]) * factor
        total = add(total, g_i * g_i)
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
def is_finite(p):
    """Whether no number is infinite or NaN: times zero, those are NaN."""
    zero = p.dtype.type(0)
    total = zero
    for i in range(p.size):
        total = add(total, p[i] * zero)
    return total == zero


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
        mine[SQUARES] += sum_of_squares(g[first:last], factor)
    barrier(member)
    relative = np.sqrt(found[:, SQUARES].sum())
    if relative / factor > limit:
        for i in range(len(parameters) - 1):
            first, last = part(member, parameters[i])
            for j in range(first, last):
                g[j] = g.dtype.type((g[j] * factor) * (limit / relative))
    return relative / factor


@compiled
def hand_over(member, parameters, ps):
    """Write the member's part of the parameters, but s, into the copies of the others.

    Past the cache: a line that another core has read is changed in its place one at a time, 70 nanoseconds each where
    the cores are far apart; written to memory, it is fetched from there like any other.
    """
    if len(ps) < member.threads:  # all have one copy
        return
    for i in range(len(parameters) - 1):
        first, last = part(member, parameters[i])
        for other in range(len(ps)):
            if other != member.me:
                stream(ps[member.me, first:last], ps[other], first, 0)
    finish_writing()


@compiled
def update(member, optimizer, parameters, rates, p, g, m, v, found, measures):
    """One optimiser step in place; says whether all is finite after it, and sums the squares of the gradients before.

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
            mine[SQUARES] += sum_of_squares(g[first:last], 1.0)
        if optimizer == ADAMW:
            adamw_loop(
                p[first:last], g[first:last], m[first:last], v[first:last], number(rate[LR]),
                number(rate[BETA1]), number(rate[REST1]), number(rate[BETA2]), number(rate[REST2]),
                number(rate[CORRECTION1]), number(rate[CORRECTION2]), number(rate[EPS]), decay,
            )  # fmt: skip
        else:
            sgd_loop(p[first:last], g[first:last], m[first:last], number(rate[LR]), number(rate[BETA1]), decay)
        if not is_finite(p[first:last]):
            mine[NON_FINITE] = 1
