"""Sigmoid linear unit: NumPy's vectorised exponential between two compiled passes."""

import numpy as np

from nsn_ref.kernels.common import compiled, flat, floats, output, shapes
from nsn_ref.ops.silu import SiluSaved


@compiled
def minus_magnitude_loop(z, e):
    """E = -|z|: the exponential of that cannot overflow."""
    for i in range(z.size):
        e[i] = -abs(z[i])


@compiled
def gate_loop(z, p, y):
    """Turn p = exp(-|a|), a of the sign of z, into logistic(a); y = z p."""
    one = z.dtype.type(1)
    for i in range(z.size):
        e = p[i]
        p[i] = (one if z[i] > 0 else e) / (one + e)
        y[i] = z[i] * p[i]


@compiled
def silu_backward_loop(dy, z, p, dz):
    """Gradient of y = z p, p = logistic(z)."""
    one = z.dtype.type(1)
    for i in range(z.size):
        dz[i] = dy[i] * (p[i] + z[i] * p[i] * (one - p[i]))


def silu_forward(z, *, out=None):
    """As `nsn_ref.ops.silu_forward`; `out` takes y."""
    floats("silu_forward", z=z)
    y, p = output("silu_forward", out, z.shape, z.dtype), np.empty(z.shape, z.dtype)
    minus_magnitude_loop(flat(z), flat(p))
    np.exp(p, out=p)
    gate_loop(flat(z), flat(p), flat(y))
    return y, SiluSaved(z, p)


def silu_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.silu_backward`; `out` takes dz and may be dy itself."""
    z, p = saved
    floats("silu_backward", z=z, p=p, dy=dy)
    shapes("silu_backward", p=(p, z.shape), dy=(dy, z.shape))
    dz = output("silu_backward", out, z.shape, z.dtype)
    silu_backward_loop(flat(dy), flat(z), flat(p), flat(dz))
    return dz
