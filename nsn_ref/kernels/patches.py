"""The patches of images with the kernel's axis first, as rows that are copied whole: (c_in k_h k_w, n, H_out, W_out).

All positions of all images are one axis of a matrix then, so that each product of a convolution is a single one. The
same numbers with that axis last are what `nsn_ref.patches` makes.
"""

import math

import numpy as np

from nsn_ref.kernels.common import compiled, plain
from nsn_ref.patches import positions


@compiled
def inside(offset, stride, size, count):
    """(first, last + 1) of the positions 0..count-1 at which offset + stride * position lies in 0..size-1."""
    first = min(max((stride - 1 - offset) // stride, 0), count)
    return first, max(first, min((size - 1 - offset) // stride + 1, count))


@compiled
def clear_outside(seen, top, bottom, left, right):
    """Zeros where an element of the kernel sees nothing of the image."""
    seen[:top] = 0
    seen[bottom:] = 0
    for u in range(top, bottom):
        for v in range(left):
            seen[u, v] = 0
        for v in range(right, seen.shape[1]):
            seen[u, v] = 0


@compiled
def patches_loop(x, stride, padding, out):
    """Copy what each element of the kernel sees; zeros outside the image.

    With stride 1 and as many columns as the image has, that is the image itself, shifted: one copy, in which what has
    left its row is cleared.
    """
    c_in, k_h, k_w, n, H_out, W_out = out.shape
    H, W = x.shape[2:]
    is_shifted = stride[0] == 1 and stride[1] == 1 and W_out == W
    for c in range(c_in):
        for i in range(k_h):
            top, bottom = inside(i - padding[0], stride[0], H, H_out)
            for j in range(k_w):
                left, right = inside(j - padding[1], stride[1], W, W_out)
                down, across = i - padding[0], j - padding[1]
                first, last = top * W + left, (bottom - 1) * W + right
                for m in range(n):
                    seen, pixels = out[c, i, j, m], x[m, c]
                    if top == bottom or left == right:
                        seen[:] = 0
                        continue
                    if is_shifted:
                        to, shift = seen.reshape(-1)[first:last], down * W + across
                        source = pixels.reshape(-1)[first + shift : last + shift]
                        for k in range(to.size):
                            to[k] = source[k]
                    else:
                        for u in range(top, bottom):
                            for v in range(left, right):
                                seen[u, v] = pixels[u * stride[0] + down, v * stride[1] + across]
                    clear_outside(seen, top, bottom, left, right)


@compiled
def sum_of_patches_loop(dpatches, stride, padding, dx):
    """Each pixel is the sum of its copies; what lies outside the image is cleared in dpatches, if it is in the way."""
    c_in, k_h, k_w, n, H_out, W_out = dpatches.shape
    H, W = dx.shape[2:]
    is_shifted = stride[0] == 1 and stride[1] == 1 and W_out == W
    dx[:] = 0
    for c in range(c_in):
        for i in range(k_h):
            top, bottom = inside(i - padding[0], stride[0], H, H_out)
            for j in range(k_w):
                left, right = inside(j - padding[1], stride[1], W, W_out)
                if top == bottom or left == right:
                    continue
                down, across = i - padding[0], j - padding[1]
                first, last = top * W + left, (bottom - 1) * W + right
                for m in range(n):
                    dseen, dpixels = dpatches[c, i, j, m], dx[m, c]
                    if is_shifted:
                        clear_outside(dseen, top, bottom, left, right)
                        source, shift = dseen.reshape(-1)[first:last], down * W + across
                        to = dpixels.reshape(-1)[first + shift : last + shift]
                        for k in range(to.size):
                            to[k] += source[k]
                    else:
                        for u in range(top, bottom):
                            for v in range(left, right):
                                dpixels[u * stride[0] + down, v * stride[1] + across] += dseen[u, v]


def patches(x, kernel, stride, padding):
    """What the kernel sees at each position: (c_in k_h k_w, n, H_out, W_out)."""
    out = np.empty((x.shape[1], *kernel, len(x), *positions(x.shape, kernel, stride, padding)), x.dtype)
    patches_loop(plain(x), stride, padding, out)
    return out.reshape(math.prod(out.shape[:3]), *out.shape[3:])


def sum_of_patches(dpatches, dx, kernel, stride, padding):
    """The adjoint of `patches`, written to dx; dpatches may be written over."""
    sum_of_patches_loop(dpatches.reshape(dx.shape[1], *kernel, *dpatches.shape[1:]), stride, padding, dx)


def as_matrix(patches):
    """One row for each element of the kernel, one column for each position of each image."""
    return patches.reshape(len(patches), math.prod(patches.shape[1:]))


def as_channels(images):
    """Images (n, c, H, W) as a matrix of the same columns: one row for each channel."""
    return as_matrix(np.ascontiguousarray(images.swapaxes(0, 1)))
