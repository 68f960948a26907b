"""The patches of images with the kernel's axis first, as rows that are copied whole: (c_in k_h k_w, n, H_out, W_out).

All positions of all images are one axis of a matrix then, so that each product of a convolution is a single one. The
same numbers with that axis last are what `nsn_ref.patches` makes.
"""

import math

import numpy as np

from nsn_ref.kernels.common import compiled, plain


@compiled
def inside(offset, stride, size, count):
    """(first, last + 1) of the positions 0..count-1 at which offset + stride * position lies in 0..size-1."""
    first = min(max((stride - 1 - offset) // stride, 0), count)
    return first, max(first, min((size - 1 - offset) // stride + 1, count))


@compiled
def patches_loop(x, stride, padding, out):
    """Copy what each element of the kernel sees, row by row; zeros outside the image."""
    c_in, k_h, k_w, n, H_out, W_out = out.shape
    for c in range(c_in):
        for i in range(k_h):
            top, bottom = inside(i - padding[0], stride[0], x.shape[2], H_out)
            for j in range(k_w):
                left, right = inside(j - padding[1], stride[1], x.shape[3], W_out)
                column = left * stride[1] + j - padding[1]
                for m in range(n):
                    seen = out[c, i, j, m]
                    seen[:top] = 0
                    seen[bottom:] = 0
                    for u in range(top, bottom):
                        pixels, row = x[m, c, u * stride[0] + i - padding[0], column :: stride[1]], seen[u]
                        row[:left] = 0
                        row[right:] = 0
                        for v in range(right - left):
                            row[left + v] = pixels[v]


@compiled
def sum_of_patches_loop(dpatches, stride, padding, dx):
    """Each pixel is the sum of its copies."""
    c_in, k_h, k_w, n, H_out, W_out = dpatches.shape
    dx[:] = 0
    for c in range(c_in):
        for i in range(k_h):
            top, bottom = inside(i - padding[0], stride[0], dx.shape[2], H_out)
            for j in range(k_w):
                left, right = inside(j - padding[1], stride[1], dx.shape[3], W_out)
                column = left * stride[1] + j - padding[1]
                for m in range(n):
                    for u in range(top, bottom):
                        pixels = dx[m, c, u * stride[0] + i - padding[0], column :: stride[1]]
                        row = dpatches[c, i, j, m, u]
                        for v in range(right - left):
                            pixels[v] += row[left + v]


def patches(x, kernel, stride, padding):
    """What the kernel sees at each position: (c_in k_h k_w, n, H_out, W_out)."""
    positions = [
        (size + 2 * p - k) // s + 1 for size, k, s, p in zip(x.shape[2:], kernel, stride, padding, strict=True)
    ]
    out = np.empty((x.shape[1], *kernel, len(x), *positions), x.dtype)
    patches_loop(plain(x), stride, padding, out)
    return out.reshape(math.prod(out.shape[:3]), *out.shape[3:])


def sum_of_patches(dpatches, dx, kernel, stride, padding):
    """The adjoint of `patches`, written to dx."""
    sum_of_patches_loop(dpatches.reshape(dx.shape[1], *kernel, *dpatches.shape[1:]), stride, padding, dx)


def as_matrix(patches):
    """One row for each element of the kernel, one column for each position of each image."""
    return patches.reshape(len(patches), math.prod(patches.shape[1:]))


def as_channels(images):
    """Images (n, c, H, W) as a matrix of the same columns: one row for each channel."""
    return as_matrix(np.ascontiguousarray(images.swapaxes(0, 1)))
