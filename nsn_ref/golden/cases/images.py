"""Cases of convolutions and pooling."""

from functools import partial

import numpy as np

from nsn_ref.golden.cases.case import ALL, NO_PRODUCTS
from nsn_ref.golden.cases.draws import designs, full_mantissas, rising, signs, small


def image(n, c, H, W, rng, dtype):
    """Normal pixels."""
    return {"x": rng.standard_normal((n, c, H, W))}


def dense(image_shape, c_out, kernel, rng, dtype):
    """A convolution."""
    tensors = image(*image_shape, rng, dtype)
    W = rng.standard_normal((c_out, image_shape[1], *kernel))
    return tensors | {"W": W, "b": rng.standard_normal(c_out)}


def nested(image_shape, c_out, kernel, R, rng, dtype):
    """A nested convolution whose components grow."""
    tensors = image(*image_shape, rng, dtype)
    A, B = rising(rng, R, (image_shape[1], *kernel)), rising(rng, R, (c_out,)).T.copy()
    return tensors | {"A": A, "B": B, "b": rng.standard_normal(c_out)}


def permutation(rng, dtype):
    """Kernels with one element each, a power of two: each output is a pixel, times it."""
    W = np.zeros((3, 2, 3, 2))
    for o in range(3):
        W[o, rng.integers(2), rng.integers(3), rng.integers(2)] = rng.choice([-2.0, 0.5, 4.0])
    return {"x": full_mantissas(rng, dtype, 2, 2, 5, 3), "W": W, "b": np.zeros(3)}


def one_pixel_each(rng, dtype, shape):
    """A power of two in one pixel of each output channel."""
    dy = np.zeros(shape)
    for o in range(shape[1]):
        dy[o % shape[0], o, rng.integers(shape[2]), rng.integers(shape[3])] = rng.choice([-1.0, 2.0, 0.5])
    return dy


def dense_integers(rng, dtype):
    """Small integers."""
    return {"x": small(rng, 2, 2, 5, 3), "W": signs(rng, 3, 2, 3, 2), "b": small(rng, 3)}


def nested_integers(rng, dtype):
    """Small integers, with large components that the rank leaves out."""
    A, B = signs(rng, 5, 2, 3, 2), signs(rng, 3, 5)
    A[2:] *= 64
    B[:, 2:] *= 64
    return {"x": signs(rng, 2, 2, 5, 3), "A": A, "B": B, "b": small(rng, 3)}


def unit_pixels(rng, dtype, shape):
    """Signs."""
    return signs(rng, *shape)


def sparse_pixels(rng, dtype, shape):
    """Signs, one for each channel of each image."""
    dy = np.zeros(shape)
    for a in range(shape[0]):
        for o in range(shape[1]):
            dy[a, o, rng.integers(shape[2]), rng.integers(shape[3])] = rng.choice([-1.0, 1.0])
    return dy


def _at(stride, padding, **rank):
    return rank | {"stride": stride, "padding": padding}


_DENSE = (
    ("same-001", "certified", _at([1, 1], [1, 1]), partial(dense, (2, 3, 5, 7), 5, (3, 3)), "flipped kernel",
     "The kernel is flipped, or the padding's zeros are taken for pixels in the gradient."),
    ("stride-001", "certified", _at([2, 3], [1, 0]), partial(dense, (1, 2, 7, 11), 3, (3, 2)), "exchanged axes",
     "Stride, padding or kernel of the two axes are exchanged."),
    ("one-by-one-001", "certified", _at([1, 1], [0, 0]), partial(dense, (3, 5, 2, 3), 2, (1, 1)), "channels last",
     "Channels and pixels are exchanged: a 1 x 1 convolution mixes channels at each pixel."),
    ("left-over-001", "certified", _at([3, 2], [0, 0]), partial(dense, (2, 2, 7, 5), 3, (2, 2)), "pixels never seen",
     "Pixels that no position of the kernel reaches get a gradient that is not zero, or the size is rounded up."),
    ("integers-001", "exact", _at([1, 1], [1, 0]), dense_integers, "wrong pixels",
     "Sums of small integers: whatever differs is a wrong pixel or a wrong weight.", unit_pixels),
    ("permutation-001", "exact", _at([1, 1], [0, 0]), permutation, "operand rounding",
     "Results are pixels times powers of two: operands are rounded before they are multiplied.", one_pixel_each),
)  # fmt: skip

_NESTED = (
    ("interior-rank-001", "certified", _at([1, 1], [1, 1], rank=4), partial(nested, (2, 2, 5, 3), 3, (3, 3), 7),
     "rank off by one", "The rank is off by one, or the last r kernels are used instead of the first r."),
    ("rank-one-001", "certified", _at([1, 1], [0, 0], rank=1), partial(nested, (3, 2, 3, 5), 2, (2, 3), 5), "rank one",
     "At rank 1 an axis is lost."),
    ("above-width-001", "certified", _at([2, 1], [0, 1], rank=11), partial(nested, (1, 2, 5, 7), 3, (2, 2), 13),
     "clipped rank", "The rank is clipped to what a full-rank convolution needs."),
    ("full-rank-001", "certified", _at([1, 2], [1, 0], rank=5), partial(nested, (2, 3, 3, 5), 7, (3, 2), 5),
     "last component", "At rank R the last kernel is left out, or strides of the two axes are exchanged."),
    ("integers-001", "exact", _at([1, 1], [1, 0], rank=2), nested_integers, "rank off by one",
     "Kernels above the rank, which are large, take part.", sparse_pixels),
)  # fmt: skip


def pixels(n, c, H, W, rng, dtype):
    """Small integers times 4, so that their means over four are integers."""
    return {"x": 4 * small(rng, n, c, H, W)}


_POOL = (
    ("windows-001", "certified", {"size": [2, 3]}, partial(image, 2, 3, 4, 9), "windows by axis",
     "Height and width of the window are exchanged, or the sum is not divided by their product."),
    ("whole-001", "certified", {"size": [5, 7]}, partial(image, 3, 2, 5, 7), "global pool",
     "The mean of the whole image is taken over the channels too, or a gradient goes to one pixel only."),
    ("integers-001", "exact", {"size": [2, 2]}, partial(pixels, 1, 3, 4, 6), "wrong window",
     "Means of integers: whatever differs is a wrong pixel.", lambda rng, dtype, shape: 4 * small(rng, *shape)),
)  # fmt: skip

DESIGNS = (
    *designs("conv2d", _DENSE, ALL),
    *designs("nested_conv2d", _NESTED, ALL),
    *designs("average_pool2d", _POOL, NO_PRODUCTS),
)
