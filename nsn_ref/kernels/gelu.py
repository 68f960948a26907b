"""Gaussian error linear unit, both forms; exponentials are NumPy's vectorised ones."""

import math

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.common import compiled, flat, floats, output, shapes
from nsn_ref.kernels.silu import gate_loop
from nsn_ref.ops.gelu import CUBIC, FORMS, GeluSaved

CUBE = float(CUBIC)
TANH_SCALE = math.sqrt(8 / math.pi)
DENSITY_SCALE = math.sqrt(0.5 / math.pi)
ROOT_HALF = math.sqrt(0.5)


@compiled
def erfc_loop(z, phi, y):
    """Phi = erfc(-z / sqrt 2) / 2; y = z phi."""
    root_half, two = z.dtype.type(ROOT_HALF), z.dtype.type(2)
    for i in range(z.size):
        phi[i] = math.erfc(-z[i] * root_half) / two
        y[i] = z[i] * phi[i]


@compiled
def minus_twice_w_loop(z, e):
    """E = -|2 w|, 2 w = sqrt(8 / pi) (z + 0.044715 z^3)."""
    scale, cube = z.dtype.type(TANH_SCALE), z.dtype.type(CUBE)
    for i in range(z.size):
        e[i] = -abs(scale * (z[i] + cube * z[i] * z[i] * z[i]))


@compiled
def minus_half_square_loop(z, e):
    """E = -z^2 / 2."""
    half = z.dtype.type(0.5)
    for i in range(z.size):
        e[i] = -z[i] * z[i] * half


@compiled
def erf_backward_loop(dy, z, phi, dz):
    """Gradient of y = z phi; dz holds exp(-z^2 / 2)."""
    scale = z.dtype.type(DENSITY_SCALE)
    for i in range(z.size):
        dz[i] = dy[i] * (phi[i] + z[i] * (dz[i] * scale))


@compiled
def tanh_backward_loop(dy, z, phi, dz):
    """Gradient of y = z phi, phi = logistic(2 w)."""
    one, scale, cube = z.dtype.type(1), z.dtype.type(TANH_SCALE), z.dtype.type(3 * CUBE)
    for i in range(z.size):
        dphi = phi[i] * (one - phi[i]) * (scale * (one + cube * z[i] * z[i]))
        dz[i] = dy[i] * (phi[i] + z[i] * dphi)


def gelu_forward(z, *, approximate="none", out=None):
    """As `nsn_ref.ops.gelu_forward`; `out` takes y."""
    checks.choice("gelu_forward", "approximate", approximate, FORMS)
    floats("gelu_forward", z=z)
    y, phi = output("gelu_forward", out, z.shape, z.dtype), np.empty(z.shape, z.dtype)
    if approximate == "none":
        erfc_loop(flat(z), flat(phi), flat(y))
    else:
        minus_twice_w_loop(flat(z), flat(phi))
        np.exp(phi, out=phi)
        gate_loop(flat(z), flat(phi), flat(y))
    return y, GeluSaved(z, phi, approximate)


def gelu_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.gelu_backward`; `out` takes dz."""
    z, phi, approximate = saved
    floats("gelu_backward", z=z, phi=phi, dy=dy)
    shapes("gelu_backward", phi=(phi, z.shape), dy=(dy, z.shape))
    dz = output("gelu_backward", out, z.shape, z.dtype)
    if approximate == "tanh":
        tanh_backward_loop(flat(dy), flat(z), flat(phi), flat(dz))
        return dz
    minus_half_square_loop(flat(z), flat(dz))
    np.exp(dz, out=dz)
    erf_backward_loop(flat(dy), flat(z), flat(phi), flat(dz))
    return dz
