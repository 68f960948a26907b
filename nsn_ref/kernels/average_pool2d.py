"""Average pooling, one pass each way."""

import numpy as np

from nsn_ref import checks
from nsn_ref.errors import ShapeError
from nsn_ref.kernels.common import compiled, floats, output, plain, shapes
from nsn_ref.ops.average_pool2d import AveragePool2dSaved


@compiled
def average_pool2d_forward_loop(x, k_h, k_w, y):
    """The mean over each window of the images x (N, H, W): whole rows of pixels first."""
    count = x.dtype.type(k_h * k_w)
    columns = np.empty(x.shape[2], x.dtype)
    for m in range(y.shape[0]):
        for u in range(y.shape[1]):
            columns[:] = 0
            for i in range(k_h):
                for j in range(columns.size):
                    columns[j] += x[m, u * k_h + i, j]
            for v in range(y.shape[2]):
                total = x.dtype.type(0)
                for j in range(k_w):
                    total += columns[v * k_w + j]
                y[m, u, v] = total / count


@compiled
def average_pool2d_backward_loop(dy, k_h, k_w, dx):
    """An even share of its window's cotangent for each pixel."""
    count = dy.dtype.type(k_h * k_w)
    row = np.empty(dx.shape[2], dx.dtype)
    for m in range(dy.shape[0]):
        for u in range(dy.shape[1]):
            for v in range(dy.shape[2]):
                row[v * k_w : (v + 1) * k_w] = dy[m, u, v] / count
            for i in range(k_h):
                dx[m, u * k_h + i] = row


def average_pool2d_forward(x, size, *, out=None):
    """As `nsn_ref.ops.average_pool2d_forward`; `out` takes y."""
    name = "average_pool2d_forward"
    floats(name, x=x)
    n, c, H, W = checks.axes(name, x=(x, "n c H W")).values()
    k_h, k_w = size = checks.pair(name, "size", size, 1)
    if H % k_h or W % k_w:
        raise ShapeError(f"{name}: x has shape {x.shape}, expected H and W divisible by {size}")
    y = output(name, out, (n, c, H // k_h, W // k_w), x.dtype)
    average_pool2d_forward_loop(_images(plain(x)), k_h, k_w, _images(y))
    return y, AveragePool2dSaved(x, size)


def average_pool2d_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.average_pool2d_backward`; `out` takes dx."""
    x, (k_h, k_w) = saved
    floats("average_pool2d_backward", x=x, dy=dy)
    n, c, H, W = x.shape
    shapes("average_pool2d_backward", dy=(dy, (n, c, H // k_h, W // k_w)))
    dx = output("average_pool2d_backward", out, x.shape, x.dtype)
    average_pool2d_backward_loop(_images(plain(dy)), k_h, k_w, _images(dx))
    return dx


def _images(x):
    """Every channel of every image on one axis."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])
