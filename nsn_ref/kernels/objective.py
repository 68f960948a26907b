"""The objective over K sampled ranks, in one pass over K numbers."""

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.common import compiled, floats, plain, shapes
from nsn_ref.ops.objective import VARIANTS, ObjectiveSaved

UNCERTAINTY, CLASSIFICATION, BOUNDED = range(len(VARIANTS))


@compiled
def objective_forward_loop(losses, s, ranks, variant, w):
    """Fill the weights; returns sum (w L + penalty), accumulated in float64."""
    total, one, two = 0.0, w.dtype.type(1), w.dtype.type(2)
    for k in range(ranks.size):
        s_k = s[ranks[k] - 1]
        w[k] = np.exp(-s_k) / (two if variant == BOUNDED else one)
        if variant == UNCERTAINTY:
            penalty = s_k
        elif variant == CLASSIFICATION:
            penalty = s_k / two
        else:  # ln(1 + e^s) without overflow
            m = s_k if s_k > 0 else 0 * s_k
            penalty = m + np.log1p(np.exp(s_k - two * m))
        total += w[k] * losses[k] + penalty
    return total


@compiled
def objective_backward_loop(dtotal, losses, s, w, ranks, variant, dlosses, ds):
    """Gradients of the losses and of s."""
    one, two = w.dtype.type(1), w.dtype.type(2)
    ds[:] = 0
    for k in range(ranks.size):
        dlosses[k] = w[k] * dtotal  # total = sum(w * losses + penalty)
        if variant == UNCERTAINTY:
            dpenalty = one
        elif variant == CLASSIFICATION:
            dpenalty = one / two
        else:
            dpenalty = one / (one + np.exp(-s[ranks[k] - 1]))
        ds[ranks[k] - 1] += (dpenalty - w[k] * losses[k]) * dtotal  # dw/ds = -w


def objective_forward(losses, s, ranks, *, variant="uncertainty"):
    """As `nsn_ref.ops.objective_forward`."""
    name = "objective_forward"
    checks.choice(name, "variant", variant, VARIANTS)
    floats(name, losses=losses, s=s)
    checks.ranks(name, ranks, s.size)
    shapes(name, losses=(losses, (len(ranks),)), s=(s, (s.size,)))
    w = np.empty(losses.shape, losses.dtype)
    total = objective_forward_loop(plain(losses), plain(s), np.array(ranks, np.int64), VARIANTS.index(variant), w)
    return s.dtype.type(total), ObjectiveSaved(losses, s, w, tuple(ranks), variant)


def objective_backward(dtotal, saved):
    """As `nsn_ref.ops.objective_backward`."""
    losses, s, w, ranks, variant = saved
    name = "objective_backward"
    floats(name, losses=losses, s=s, w=w)
    checks.ranks(name, ranks, s.size)
    shapes(name, losses=(losses, (len(ranks),)), w=(w, (len(ranks),)))
    dlosses, ds = np.empty(losses.shape, losses.dtype), np.empty(s.shape, s.dtype)
    objective_backward_loop(
        s.dtype.type(dtotal), plain(losses), plain(s), w, np.array(ranks, np.int64), VARIANTS.index(variant),
        dlosses, ds,
    )  # fmt: skip
    return dlosses, ds
