"""Rectified linear unit, one pass each way."""

from nsn_ref.kernels.common import compiled, flat, floats, output, shapes
from nsn_ref.ops.relu import ReluSaved


@compiled
def relu_forward_loop(z, y):
    """Y = max(z, 0); NaN stays NaN."""
    zero = z.dtype.type(0)
    for i in range(z.size):
        y[i] = zero if z[i] <= zero else z[i]


@compiled
def relu_backward_loop(dy, z, dz):
    """Dy where z > 0, else 0."""
    zero = z.dtype.type(0)
    for i in range(z.size):
        dz[i] = zero if z[i] <= zero else dy[i]


def relu_forward(z, *, out=None):
    """As `nsn_ref.ops.relu_forward`; `out` takes y and may be z itself: what the backward pass reads is the sign."""
    floats("relu_forward", z=z)
    y = output("relu_forward", out, z.shape, z.dtype)
    relu_forward_loop(flat(z), flat(y))
    return y, ReluSaved(z)


def relu_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.relu_backward`; `out` takes dz and may be dy itself."""
    (z,) = saved
    floats("relu_backward", z=z, dy=dy)
    shapes("relu_backward", dy=(dy, z.shape))
    dz = output("relu_backward", out, z.shape, z.dtype)
    relu_backward_loop(flat(dy), flat(z), flat(dz))
    return dz
