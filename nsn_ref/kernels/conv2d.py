"""Dense convolution: one product with the patches of all images, and a bias."""

import math

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.common import floats, output, outputs, shapes
from nsn_ref.kernels.patches import as_channels, as_matrix, patches, sum_of_patches
from nsn_ref.ops.conv2d import Conv2dSaved
from nsn_ref.ops.dense import DenseSaved
from nsn_ref.patches import geometry


def conv2d_forward(x, W, b, *, stride=1, padding=0, out=None):
    """As `nsn_ref.ops.conv2d_forward`; `out` takes y."""
    name = "conv2d_forward"
    floats(name, x=x, W=W, b=b)
    checks.axes(name, x=(x, "n c_in H W"), W=(W, "c_out c_in k_h k_w"), b=(b, "c_out"))
    kernel = W.shape[2:]
    stride, padding = geometry(name, "W", kernel, x.shape, stride, padding)
    seen, W = patches(x, kernel, stride, padding), W.reshape(len(W), math.prod(W.shape[1:]))
    z = np.matmul(W, as_matrix(seen)).reshape(len(W), *seen.shape[1:])
    y = output(name, out, (len(x), *z.shape[:1], *z.shape[2:]), x.dtype)
    np.add(z.swapaxes(0, 1), b[:, None, None], out=y)
    return y, Conv2dSaved(DenseSaved(np.moveaxis(seen, 0, -1), W), x.shape, kernel, stride, padding)


def conv2d_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.conv2d_backward`; `out` takes (dx, dW, db)."""
    name = "conv2d_backward"
    (seen, W), x_shape, kernel, stride, padding = saved
    floats(name, patches=seen, W=W, dy=dy)
    seen = np.moveaxis(seen, -1, 0)
    shapes(name, dy=(dy, (x_shape[0], len(W), *seen.shape[2:])))
    dx, dW, db = outputs(name, out, dy.dtype, x_shape, (len(W), x_shape[1], *kernel), W.shape[:1])
    dz = as_channels(dy)  # y = z.swapaxes(0, 1) + b
    np.sum(dz, axis=1, out=db)
    np.matmul(dz, as_matrix(seen).T, out=dW.reshape(W.shape))  # z = W @ seen
    sum_of_patches(np.matmul(W.T, dz).reshape(seen.shape), dx, kernel, stride, padding)
    return dx, dW, db
