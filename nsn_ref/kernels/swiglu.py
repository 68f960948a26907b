"""Gated activation with the sigmoid linear unit: its kernel, and products of the other factor."""

import numpy as np

from nsn_ref.kernels.common import floats, output, outputs, shapes
from nsn_ref.kernels.silu import silu_backward, silu_forward
from nsn_ref.ops.swiglu import SwigluSaved


def swiglu_forward(gate, up, *, out=None):
    """As `nsn_ref.ops.swiglu_forward`; `out` takes y."""
    floats("swiglu_forward", gate=gate, up=up)
    shapes("swiglu_forward", up=(up, gate.shape))
    y = output("swiglu_forward", out, gate.shape, gate.dtype)
    activated, silu = silu_forward(gate)
    np.multiply(activated, up, out=y)
    return y, SwigluSaved(up, activated, silu)


def swiglu_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.swiglu_backward`; `out` takes (dgate, dup)."""
    up, activated, silu = saved
    floats("swiglu_backward", up=up, activated=activated, dy=dy)
    shapes("swiglu_backward", activated=(activated, up.shape), dy=(dy, up.shape))
    dgate, dup = outputs("swiglu_backward", out, up.dtype, up.shape, up.shape)
    np.multiply(dy, up, out=dgate)
    silu_backward(dgate, silu, out=dgate)
    np.multiply(dy, activated, out=dup)  # y = activated * up
    return dgate, dup
