"""Optimiser steps, each one pass over the parameter."""

import numpy as np

from nsn_ref.kernels.common import compiled, flat, floats, output, shapes
from nsn_ref.training.optimizers import AdamWResult, SGDResult

# The loops update in place: with more arrays than these, LLVM gives up proving that none overlap, does not vectorise,
# and the step takes eight times as long.


@compiled
def adamw_loop(p, g, m, v, lr, beta1, rest1, beta2, rest2, correction1, correction2, eps, decay):
    """AdamW in place; `rest` is 1 - beta, `correction` 1 - beta^t, `decay` lr weight_decay."""
    for i in range(p.size):
        m_i = beta1 * m[i] + rest1 * g[i]
        v_i = beta2 * v[i] + rest2 * g[i] * g[i]
        m[i], v[i] = m_i, v_i
        p[i] = p[i] - decay * p[i] - lr * (m_i / correction1) / (np.sqrt(v_i / correction2) + eps)


@compiled
def sgd_loop(p, g, m, lr, momentum, weight_decay):
    """Gradient descent with momentum, in place."""
    for i in range(p.size):
        m_i = momentum * m[i] + (g[i] + weight_decay * p[i])
        m[i] = m_i
        p[i] = p[i] - lr * m_i


def adamw_step(p, g, m, v, t, *, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, out=None):
    """As `nsn_ref.training.optimizers.adamw_step`; `out` takes (p, m, v) and may be these arrays themselves."""
    floats("adamw_step", p=p, g=g, m=m, v=v)
    shapes("adamw_step", g=(g, p.shape), m=(m, p.shape), v=(v, p.shape))
    out = AdamWResult(*_in_place("adamw_step", out, p, m, v))
    t = int(t)
    constants = (lr, beta1, 1 - beta1, beta2, 1 - beta2, 1 - beta1**t, 1 - beta2**t, eps, lr * weight_decay)
    adamw_loop(flat(out.p), flat(g), flat(out.m), flat(out.v), *map(p.dtype.type, constants))
    return out


def sgd_step(p, g, m, *, lr, momentum=0.0, weight_decay=0.0, out=None):
    """As `nsn_ref.training.optimizers.sgd_step`; `out` takes (p, m) and may be these arrays themselves."""
    floats("sgd_step", p=p, g=g, m=m)
    shapes("sgd_step", g=(g, p.shape), m=(m, p.shape))
    out = SGDResult(*_in_place("sgd_step", out, p, m))
    sgd_loop(flat(out.p), flat(g), flat(out.m), *map(p.dtype.type, (lr, momentum, weight_decay)))
    return out


def _in_place(function, out, *state):
    """Arrays that hold the state and may be written: `out`, filled, or copies."""
    arrays = [None] * len(state) if out is None else out
    shapes(function, out=(np.empty(len(arrays)), (len(state),)))
    for i, (array, now) in enumerate(zip(arrays, state, strict=True)):
        array = output(function, array, now.shape, now.dtype, f"out[{i}]")
        if array is not now:
            np.copyto(array, now)
        yield array
