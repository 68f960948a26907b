"""Nested convolution at one rank: products of prefix views with the patches of all images."""

import math

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.common import floats, output, outputs, shapes
from nsn_ref.kernels.patches import as_channels, as_matrix, patches, sum_of_patches
from nsn_ref.ops.nested_conv2d import NestedConv2dSaved
from nsn_ref.ops.nested_linear import NestedLinearSaved
from nsn_ref.patches import check_patches, geometry


def nested_conv2d_forward(x, A, B, b, rank, *, stride=1, padding=0, seen=None, out=None):
    """As `nsn_ref.ops.nested_conv2d_forward`; `out` takes y."""
    name = "nested_conv2d_forward"
    floats(name, x=x, A=A, B=B, b=b)
    checks.axes(name, x=(x, "n c_in H W"), A=(A, "R c_in k_h k_w"), B=(B, "c_out R"), b=(b, "c_out"))
    checks.rank(name, rank, len(A))
    kernel = A.shape[2:]
    stride, padding = geometry(name, "A", kernel, x.shape, stride, padding)
    if seen is None:
        seen = patches(x, kernel, stride, padding)
    else:
        floats(name, x=x, seen=seen)
        check_patches(name, seen, x, kernel, stride, padding)
        seen = np.moveaxis(seen, -1, 0)
    A = A.reshape(len(A), math.prod(A.shape[1:]))
    h = np.matmul(A[:rank], as_matrix(seen))
    z = np.matmul(B[:, :rank], h).reshape(len(B), *seen.shape[1:])
    y = output(name, out, (len(x), *z.shape[:1], *z.shape[2:]), x.dtype)
    np.add(z.swapaxes(0, 1), b[:, None, None], out=y)
    h = h.reshape(rank, *seen.shape[1:])
    linear = NestedLinearSaved(np.moveaxis(seen, 0, -1), A, B, np.moveaxis(h, 0, -1))
    return y, NestedConv2dSaved(linear, x.shape, kernel, stride, padding)


def nested_conv2d_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.nested_conv2d_backward`; `out` takes (dx, dA, dB, db)."""
    name = "nested_conv2d_backward"
    (seen, A, B, h), x_shape, kernel, stride, padding = saved
    floats(name, patches=seen, A=A, B=B, h=h, dy=dy)
    seen, h = np.moveaxis(seen, -1, 0), as_matrix(np.moveaxis(h, -1, 0))
    shapes(name, dy=(dy, (x_shape[0], len(B), *seen.shape[2:])))
    dx, dA, dB, db = outputs(
        name, out, dy.dtype, x_shape, (len(A), x_shape[1], *kernel), B.shape, B.shape[:1]
    )  # fmt: skip
    rank, dz = len(h), as_channels(dy)  # y = z.swapaxes(0, 1) + b
    np.sum(dz, axis=1, out=db)
    dh = np.matmul(B[:, :rank].T, dz)  # z = B[:, :rank] @ h
    np.matmul(dz, h.T, out=dB[:, :rank])
    np.matmul(dh, as_matrix(seen).T, out=dA.reshape(A.shape)[:rank])  # h = A[:rank] @ seen
    sum_of_patches(np.matmul(A[:rank].T, dh).reshape(seen.shape), dx, kernel, stride, padding)
    dA[rank:] = 0
    dB[:, rank:] = 0
    return dx, dA, dB, db
