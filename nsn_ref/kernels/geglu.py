"""Gated activation with the Gaussian error linear unit: its kernel, and products of the other factor."""

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.common import floats, output, outputs, shapes
from nsn_ref.kernels.gelu import gelu_backward, gelu_forward
from nsn_ref.ops.geglu import GegluSaved
from nsn_ref.ops.gelu import FORMS


def geglu_forward(gate, up, *, approximate="none", out=None):
    """As `nsn_ref.ops.geglu_forward`; `out` takes y."""
    checks.choice("geglu_forward", "approximate", approximate, FORMS)
    floats("geglu_forward", gate=gate, up=up)
    shapes("geglu_forward", up=(up, gate.shape))
    y = output("geglu_forward", out, gate.shape, gate.dtype)
    activated, gelu = gelu_forward(gate, approximate=approximate)
    np.multiply(activated, up, out=y)
    return y, GegluSaved(up, activated, gelu)


def geglu_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.geglu_backward`; `out` takes (dgate, dup)."""
    up, activated, gelu = saved
    floats("geglu_backward", up=up, activated=activated, dy=dy)
    shapes("geglu_backward", activated=(activated, up.shape), dy=(dy, up.shape))
    dgate, dup = outputs("geglu_backward", out, up.dtype, up.shape, up.shape)
    gelu_backward(dy * up, gelu, out=dgate)
    np.multiply(dy, activated, out=dup)  # y = activated * up
    return dgate, dup
