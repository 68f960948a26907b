"""What a convolution adds to a linear layer: patches before it, and the pool behind it. Images lie channels last."""

from nsn_ref.kernels.common import compiled
from nsn_ref.kernels.step.layout import (
    CHANNELS,
    D_IN,
    D_OUT,
    DH,
    DIMAGE,
    HEIGHT,
    IMAGE,
    KERNEL,
    POSITIONS,
    WIDTH,
    WINDOW_HEIGHT,
    WINDOW_WIDTH,
    H,
    Y,
)
from nsn_ref.kernels.step.passes import add, copy, view


@compiled
def padded(buffer, layer, offset, images):
    """Input images of a layer with their border, as an array (images, height, width, channels)."""
    border = max(layer[KERNEL] - 1, 0)
    height, width = layer[HEIGHT] + border, layer[WIDTH] + border
    size = images * height * width * layer[CHANNELS]
    return buffer[offset : offset + size].reshape(images, height, width, layer[CHANNELS])


@compiled
def load_images(x, w, layer, images):
    """Put images, which lie channels first, inside the borders of the first layer's input."""
    pixels, border = padded(w, layer, layer[IMAGE], images), layer[KERNEL] // 2
    x = x.reshape(images, layer[CHANNELS], layer[HEIGHT], layer[WIDTH])
    for m in range(images):
        for c in range(layer[CHANNELS]):
            for u in range(layer[HEIGHT]):
                for v in range(layer[WIDTH]):
                    pixels[m, border + u, border + v, c] = x[m, c, u, v]


@compiled
def patches(w, layer, images, first):
    """What the kernel sees at each position of some images, the first of which is image `first`, as rows."""
    pixels = padded(w, layer, layer[IMAGE], first + images)
    seen, line = view(w, layer[H], images * layer[POSITIONS], layer[D_IN]), layer[KERNEL] * layer[CHANNELS]
    for m in range(images):
        for u in range(layer[HEIGHT]):
            row = (m * layer[HEIGHT] + u) * layer[WIDTH]
            for i in range(layer[KERNEL]):
                source = pixels[first + m, u + i].reshape(-1)
                for v in range(layer[WIDTH]):
                    copy(source[v * layer[CHANNELS] :][:line], seen[row + v, i * line : (i + 1) * line])


@compiled
def sum_of_patches(w, layer, images):
    """The adjoint of `patches`: the gradient of each pixel is the sum over its copies."""
    dpixels = padded(w, layer, layer[DIMAGE], images)
    dseen, line = view(w, layer[DH], images * layer[POSITIONS], layer[D_IN]), layer[KERNEL] * layer[CHANNELS]
    dpixels[:] = 0
    for m in range(images):
        for u in range(layer[HEIGHT]):
            row = (m * layer[HEIGHT] + u) * layer[WIDTH]
            for i in range(layer[KERNEL]):
                target = dpixels[m, u + i].reshape(-1)
                for v in range(layer[WIDTH]):
                    add(dseen[row + v, i * line : (i + 1) * line], target[v * layer[CHANNELS] :][:line])


@compiled
def bias_relu_pool(w, layer, b, above, images):
    """y = max(y + b, 0), and its means over windows inside the input images of the layer above; NaN stays NaN."""
    y, border = view(w, layer[Y], images * layer[POSITIONS], layer[D_OUT]), above[KERNEL] // 2
    pooled, zero = padded(w, above, above[IMAGE], images), w.dtype.type(0)
    count = w.dtype.type(layer[WINDOW_HEIGHT] * layer[WINDOW_WIDTH])
    for m in range(images):
        for u in range(above[HEIGHT]):
            for v in range(above[WIDTH]):
                mean = pooled[m, border + u, border + v]
                mean[:] = 0
                for i in range(u * layer[WINDOW_HEIGHT], (u + 1) * layer[WINDOW_HEIGHT]):
                    for j in range(v * layer[WINDOW_WIDTH], (v + 1) * layer[WINDOW_WIDTH]):
                        row = y[(m * layer[HEIGHT] + i) * layer[WIDTH] + j]
                        for c in range(row.size):
                            y_c = row[c] + b[c]
                            row[c] = zero if y_c <= zero else y_c
                            mean[c] += row[c]
                for c in range(mean.size):
                    mean[c] /= count


@compiled
def relu_pool_backward(w, layer, above, images):
    """In the place of y: an even share of its window's gradient where y > 0, else 0."""
    y, border = view(w, layer[Y], images * layer[POSITIONS], layer[D_OUT]), above[KERNEL] // 2
    dpooled, zero = padded(w, above, above[DIMAGE], images), w.dtype.type(0)
    count = w.dtype.type(layer[WINDOW_HEIGHT] * layer[WINDOW_WIDTH])
    for m in range(images):
        for u in range(above[HEIGHT]):
            for v in range(above[WIDTH]):
                share = dpooled[m, border + u, border + v]
                for c in range(share.size):
                    share[c] /= count
                for i in range(u * layer[WINDOW_HEIGHT], (u + 1) * layer[WINDOW_HEIGHT]):
                    for j in range(v * layer[WINDOW_WIDTH], (v + 1) * layer[WINDOW_WIDTH]):
                        row = y[(m * layer[HEIGHT] + i) * layer[WIDTH] + j]
                        for c in range(row.size):
                            row[c] = zero if row[c] <= zero else share[c]
