"""Convolutions and pooling, pixel by pixel."""

from golden_formulas.lists import dot


def shape(x):
    return (len(x), *shape(x[0])) if isinstance(x, list) else ()


def filled(sizes, value):
    return [filled(sizes[1:], value) for _ in range(sizes[0])] if sizes else value


def positions(x, W, stride, padding):
    """Each (image, output channel, output pixel, input channel, kernel pixel, input pixel) inside the image."""
    (n, _, H, width), (c_out, c_in, k_h, k_w) = shape(x), shape(W)
    H_out = (H + 2 * padding[0] - k_h) // stride[0] + 1
    W_out = (width + 2 * padding[1] - k_w) // stride[1] + 1

    def walk():
        for p in range(H_out):
            for q in range(W_out):
                for i in range(k_h):
                    for j in range(k_w):
                        u, v = p * stride[0] + i - padding[0], q * stride[1] + j - padding[1]
                        if 0 <= u < H and 0 <= v < width:
                            yield from (
                                (a, o, p, q, c, i, j, u, v) for a in range(n) for o in range(c_out) for c in range(c_in)
                            )

    return (n, c_out, H_out, W_out), walk()


def convolve(x, W, b, stride, padding):
    size, walk = positions(x, W, stride, padding)
    y = [[filled(size[2:], b[o]) for o in range(size[1])] for _ in range(size[0])]
    for a, o, p, q, c, i, j, u, v in walk:
        y[a][o][p][q] += W[o][c][i][j] * x[a][c][u][v]
    return y


def convolve_grads(x, W, stride, padding, dy):
    zero = 0 * dy[0][0][0][0]
    size, walk = positions(x, W, stride, padding)
    dx, dW, db = filled(shape(x), zero), filled(shape(W), zero), [zero] * size[1]
    for a, o, p, q, c, i, j, u, v in walk:
        dx[a][c][u][v] += dy[a][o][p][q] * W[o][c][i][j]
        dW[o][c][i][j] += dy[a][o][p][q] * x[a][c][u][v]
    for image in dy:
        for o, plane in enumerate(image):
            db[o] += sum((g for row in plane for g in row), start=zero)
    return dx, dW, db


def mix(h, B, b, r):
    """Each output channel is b plus the first r channels times a row of B."""
    n, _, H, W = shape(h)
    return [
        [
            [[b[o] + dot(B[o][:r], [h[a][i][p][q] for i in range(r)]) for q in range(W)] for p in range(H)]
            for o in range(len(b))
        ]
        for a in range(n)
    ]


def nested_convolve(x, A, B, b, r, stride, padding):
    h = convolve(x, A[:r], [0 * b[0]] * r, stride, padding)
    return mix(h, B, b, r), h


def nested_convolve_grads(x, A, B, r, stride, padding, dy):
    zero = 0 * dy[0][0][0][0]
    _, h = nested_convolve(x, A, B, [zero] * len(B), r, stride, padding)
    n, c_out, H, W = shape(dy)
    dh, dB, db = filled(shape(h), zero), filled(shape(B), zero), [zero] * c_out
    for a in range(n):
        for o in range(c_out):
            for p in range(H):
                for q in range(W):
                    db[o] += dy[a][o][p][q]
                    for i in range(r):
                        dh[a][i][p][q] += B[o][i] * dy[a][o][p][q]
                        dB[o][i] += h[a][i][p][q] * dy[a][o][p][q]
    dx, dA, _ = convolve_grads(x, A[:r], stride, padding, dh)
    return dx, dA + filled((len(A) - r, *shape(A)[1:]), zero), dB, db


def pool(x, size):
    n, c, H, W = shape(x)
    k_h, k_w = size
    y = filled((n, c, H // k_h, W // k_w), 0 * x[0][0][0][0])
    for a in range(n):
        for o in range(c):
            for p in range(H):
                for q in range(W):
                    y[a][o][p // k_h][q // k_w] += x[a][o][p][q] / (k_h * k_w)
    return y


def pool_grad(sizes, size, dy):
    n, c, H, W = sizes
    k_h, k_w = size
    return [
        [[[dy[a][o][p // k_h][q // k_w] / (k_h * k_w) for q in range(W)] for p in range(H)] for o in range(c)]
        for a in range(n)
    ]


def conv2d_forward(t, attrs):
    return {"y": convolve(t["x"], t["W"], t["b"], attrs["stride"], attrs["padding"])}


def conv2d_backward(t, attrs):
    grads = convolve_grads(t["x"], t["W"], attrs["stride"], attrs["padding"], t["dy"])
    return dict(zip(("dx", "dW", "db"), grads, strict=True))


def nested_conv2d_forward(t, attrs):
    where = attrs["rank"], attrs["stride"], attrs["padding"]
    y, h = nested_convolve(t["x"], t["A"], t["B"], t["b"], *where)
    return {"h": h, "y": y}


def nested_conv2d_backward(t, attrs):
    where = attrs["rank"], attrs["stride"], attrs["padding"]
    grads = nested_convolve_grads(t["x"], t["A"], t["B"], *where, t["dy"])
    return dict(zip(("dx", "dA", "dB", "db"), grads, strict=True))


def average_pool2d_forward(t, attrs):
    return {"y": pool(t["x"], attrs["size"])}


def average_pool2d_backward(t, attrs):
    return {"dx": pool_grad(shape(t["x"]), attrs["size"], t["dy"])}


OPERATIONS = {
    function.__name__: function
    for function in (
        conv2d_forward,
        conv2d_backward,
        nested_conv2d_forward,
        nested_conv2d_backward,
        average_pool2d_forward,
        average_pool2d_backward,
    )
}
