"""Rotary position embedding: one pass; the backward pass rotates by minus the angles."""

import math

from nsn_ref import checks
from nsn_ref.kernels.common import compiled, floats, output, plain, shapes
from nsn_ref.ops.rotary import RotarySaved


@compiled
def rotary_loop(x, cos, sin, y):
    """Rotate every head; x is (positions, H, D), and a table shared by all sequences is read once for each."""
    pairs = cos.shape[1]
    for i in range(x.shape[0]):
        t = i % cos.shape[0]
        for h in range(x.shape[1]):
            for j in range(pairs):
                first, second = x[i, h, j], x[i, h, j + pairs]
                y[i, h, j] = first * cos[t, j] - second * sin[t, j]
                y[i, h, j + pairs] = second * cos[t, j] + first * sin[t, j]
            for j in range(2 * pairs, x.shape[2]):
                y[i, h, j] = x[i, h, j]


def rotary_forward(x, cos, sin, *, out=None):
    """As `nsn_ref.ops.rotary_forward`; `out` takes y."""
    name = "rotary_forward"
    floats(name, x=x, cos=cos, sin=sin)
    table = "n T P" if cos.ndim == 3 else "T P"
    sizes = checks.axes(name, x=(x, "n T H D"), cos=(cos, table), sin=(sin, table))
    checks.rotation(name, sizes)
    y = output(name, out, x.shape, x.dtype)
    _rotate(x, cos, sin, y)
    return y, RotarySaved(cos, sin, x.shape)


def rotary_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.rotary_backward`; `out` takes dx."""
    cos, sin, shape = saved
    floats("rotary_backward", cos=cos, sin=sin, dy=dy)
    shapes("rotary_backward", dy=(dy, shape))
    dx = output("rotary_backward", out, shape, dy.dtype)
    _rotate(dy, cos, -sin, dx)
    return dx


def _rotate(x, cos, sin, y):
    positions, table = x.shape[0] * x.shape[1], (math.prod(cos.shape[:-1]), cos.shape[-1])
    x, y = (plain(a).reshape(positions, *x.shape[2:]) for a in (x, y))
    rotary_loop(x, plain(cos).reshape(table), plain(sin).reshape(table), y)
