"""The operations in the arithmetic of a machine, by every formula that a port may use; written from the papers.

Nothing here knows the reference or the bounds. Arrays have a leading axis of trials.
"""

import math

import numpy as np


def run(machine, op, inputs, attrs):
    """Outputs of an operation by name, each with a leading axis of trials, in the formats of its tensors.

    Raises
    ------
    NotImplementedError
    """
    if op not in OPERATIONS:
        raise NotImplementedError(op)
    t = {name: np.broadcast_to(x, (machine.trials, *x.shape)) for name, x in inputs.items()}
    t = {name: x.astype(float) if x.dtype.kind not in "iu" else x for name, x in t.items()}
    with np.errstate(all="ignore"):
        return OPERATIONS[op](machine, t, attrs)


def _flat(x):
    return x.reshape(x.shape[0], -1, x.shape[-1])


def _T(x):
    return np.swapaxes(x, -1, -2)


def _at(k, x):
    """A number for each trial, beside x."""
    return k.reshape(-1, *[1] * (x.ndim - 1))


def _zeros(like):
    return np.zeros(like.shape)


# --- linear layers ----------------------------------------------------------------------------------------------------


def _layer(M, x, A, B, b, r):
    """Output at rank r and the bottleneck, on rows; factored or with B_r A_r multiplied out."""
    h = M.matmul(x, _T(A[:, :r]))
    y = M.either(
        lambda: M.matmul(h, _T(B[:, :, :r]), b),
        lambda: M.matmul(x, _T(M.matmul(B[:, :, :r], A[:, :r])), b) if M.contract.merged_weights else None,
    )
    return (M.matmul(h, _T(B[:, :, :r]), b) if y is None else y), h


def _layer_grads(M, x, A, B, h, dy, r):
    """Gradients at rank r, on rows: through dh, or through the gradient of B_r A_r."""
    dA, dB = _zeros(A), _zeros(B)
    if M.contract.merged_weights and M.rng.random() < 0.5:
        dW = M.matmul(_T(dy), x)
        dA[:, :r], dB[:, :, :r] = M.matmul(_T(B[:, :, :r]), dW), M.matmul(dW, _T(A[:, :r]))
        return M.matmul(dy, M.matmul(B[:, :, :r], A[:, :r])), dA, dB, M.stored(M.sum(dy, 1))
    dh = M.matmul(dy, B[:, :, :r])
    dA[:, :r], dB[:, :, :r] = M.matmul(_T(dh), x), M.matmul(_T(dy), h)
    return M.matmul(dh, A[:, :r]), dA, dB, M.stored(M.sum(dy, 1))


def _nested_linear_forward(M, t, a):
    y, h = _layer(M, _flat(t["x"]), t["A"], t["B"], t["b"], a["rank"])
    leading = t["x"].shape[:-1]
    return {"h": h.reshape(*leading, -1), "y": y.reshape(*leading, -1)}


def _multirank_linear_forward(M, t, a):
    x, top = t["x"], max(a["ranks"])
    ys = [_nested_linear_forward(M, t, {"rank": r})["y"] for r in a["ranks"]]
    return {"h": M.matmul(_flat(x), _T(t["A"][:, :top])).reshape(*x.shape[:-1], top), "ys": np.stack(ys, axis=1)}


def _nested_linear_backward(M, t, a):
    return _linear_backward(M, t, [a["rank"]], t["dy"][:, None])


def _multirank_linear_backward(M, t, a):
    return _linear_backward(M, t, a["ranks"], t["dys"])


def _linear_backward(M, t, ranks, dys):
    x, A, B = _flat(t["x"]), t["A"], t["B"]
    dys = [_flat(dys[:, k]) for k in range(len(ranks))]
    form = M.rng.integers(3)
    if form == 0 and len(ranks) > 1:
        grads = _shared(M, x, A, B, dys, ranks)
    elif form == 1:
        grads = _at_once(M, x, A, B, dys, ranks)
    else:
        parts = [_layer_grads(M, x, A, B, M.matmul(x, _T(A[:, :r])), dy, r) for dy, r in zip(dys, ranks, strict=True)]
        grads = [M.accumulate(list(each)) for each in zip(*parts, strict=True)]
    return dict(zip(("dx", "dA", "dB", "db"), (grads[0].reshape(t["x"].shape), *grads[1:]), strict=True))


def _shared(M, x, A, B, dys, ranks):
    """One dh for all ranks: each rank's part stored and added."""
    top, dA = max(ranks), _zeros(A)
    h = M.matmul(x, _T(A[:, :top]))
    padded, dBs = [], []
    for dy, r in zip(dys, ranks, strict=True):
        dh = np.zeros((*x.shape[:2], top))
        dh[..., :r] = M.matmul(dy, B[:, :, :r])
        dB = _zeros(B)
        dB[:, :, :r] = M.matmul(_T(dy), h[..., :r])
        padded.append(dh)
        dBs.append(dB)
    dh = M.accumulate(padded)
    dA[:, :top] = M.matmul(_T(dh), x)
    return M.matmul(dh, A[:, :top]), dA, M.accumulate(dBs), M.stored(M.sum(np.concatenate(dys, axis=1), 1))


def _at_once(M, x, A, B, dys, ranks):
    """All ranks side by side in one product of matrices each."""
    top = max(ranks)
    h = M.matmul(x, _T(A[:, :top]))
    cut = [np.where(np.arange(top) < r, 1.0, 0.0) for r in ranks]
    wide, tall = np.concatenate(dys, axis=2), np.concatenate(dys, axis=1)
    Bs = np.concatenate([B[:, :, :top] * c for c in cut], axis=1)
    dh = M.matmul(wide, Bs)
    dA, dB = _zeros(A), _zeros(B)
    dA[:, :top] = M.matmul(_T(dh), x)
    dB[:, :, :top] = M.matmul(_T(tall), np.concatenate([h * c for c in cut], axis=1))
    return M.matmul(dh, A[:, :top]), dA, dB, M.stored(M.sum(tall, 1))


def _dense_forward(M, t, a):
    return {"y": M.matmul(t["x"], _T(t["W"]), t["b"])}


def _dense_backward(M, t, a):
    dy = t["dy"]
    return {"dx": M.matmul(dy, t["W"]), "dW": M.matmul(_T(dy), t["x"]), "db": M.stored(M.sum(dy, 1))}


# --- images and tokens ------------------------------------------------------------------------------------------------


def _places(shape, kernel, a):
    """For each output pixel the padded pixels under the kernel, in the order of the kernels' numbers."""
    (p_h, p_w), (s_h, s_w) = a["padding"], a["stride"]
    c, H, W = shape[2], shape[3] + 2 * p_h, shape[4] + 2 * p_w
    pixels = np.arange(c * H * W).reshape(c, H, W)
    rows = range(0, H - kernel[0] + 1, s_h)
    columns = range(0, W - kernel[1] + 1, s_w)
    cut = [pixels[:, i : i + kernel[0], j : j + kernel[1]].ravel() for i in rows for j in columns]
    return np.array(cut), (len(rows), len(columns)), (c, H, W)


def _patches(x, kernel, a):
    """(T, n, positions, c k k)."""
    (p_h, p_w), (at, out, _) = a["padding"], _places(x.shape, kernel, a)
    padded = np.pad(x, [(0, 0), (0, 0), (0, 0), (p_h, p_h), (p_w, p_w)])
    return padded.reshape(*x.shape[:2], -1)[:, :, at], out


def _images(y, n, out):
    """(T, n positions, c) as (T, n, c, H_out, W_out)."""
    return np.moveaxis(y.reshape(len(y), n, *out, -1), -1, 2)


def _conv2d_forward(M, t, a):
    x, W = t["x"], t["W"]
    cut, out = _patches(x, W.shape[3:], a)
    y = M.matmul(_flat(cut), _T(W.reshape(*W.shape[:2], -1)), t["b"])
    return {"y": _images(y, x.shape[1], out)}


def _nested_conv2d_forward(M, t, a):
    x, A = t["x"], t["A"]
    cut, out = _patches(x, A.shape[3:], a)
    y, h = _layer(M, _flat(cut), A.reshape(*A.shape[:2], -1), t["B"], t["b"], a["rank"])
    return {"h": _images(h, x.shape[1], out), "y": _images(y, x.shape[1], out)}


def _add_patches(M, dcut, x_shape, kernel, a):
    """Each pixel's cotangent from all positions that saw it: stored and added in any order."""
    at, _, (c, H, W) = _places(x_shape, kernel, a)
    n, (p_h, p_w) = x_shape[1], a["padding"]
    dcut = dcut.reshape(len(dcut), n, *at.shape)
    out = np.zeros((len(dcut), n, c * H * W))
    for pixel in range(c * H * W):
        seen = np.argwhere(at == pixel)
        if len(seen):
            out[:, :, pixel] = M.accumulate([dcut[:, :, i, j] for i, j in seen])
    image = out.reshape(len(dcut), n, c, H, W)
    return image[:, :, :, p_h : H - p_h, p_w : W - p_w]


def _all_at_once(M, dy, W, x_shape, kernel, a):
    """The same as one sum of all terms for each pixel."""
    at, _, (c, H, Wd) = _places(x_shape, kernel, a)
    n, (p_h, p_w) = x_shape[1], a["padding"]
    dy = dy.reshape(len(dy), n, len(at), -1)
    out = np.zeros((len(dy), n, c * H * Wd))
    for pixel in range(c * H * Wd):
        seen = np.argwhere(at == pixel)
        if len(seen):
            left = np.concatenate([dy[:, :, i] for i, _ in seen], axis=-1)
            right = np.concatenate([W[:, :, j] for _, j in seen], axis=-1)
            out[:, :, pixel] = M.matmul(left, right[..., None])[..., 0]
    return out.reshape(len(dy), n, c, H, Wd)[:, :, :, p_h : H - p_h, p_w : Wd - p_w]


def _conv2d_backward(M, t, a):
    x, W, dy = t["x"], t["W"], np.moveaxis(t["dy"], 2, -1)
    cut, _ = _patches(x, W.shape[3:], a)
    flat, kernels = _flat(dy), W.reshape(*W.shape[:2], -1)
    dx = M.either(
        lambda: _add_patches(M, M.matmul(flat, kernels), x.shape, W.shape[3:], a),
        lambda: _all_at_once(M, flat, kernels, x.shape, W.shape[3:], a),
    )
    return {"dx": dx, "dW": M.matmul(_T(flat), _flat(cut)).reshape(W.shape), "db": M.stored(M.sum(flat, 1))}


def _nested_conv2d_backward(M, t, a):
    x, A, r = t["x"], t["A"], a["rank"]
    cut, _ = _patches(x, A.shape[3:], a)
    kernels, flat, cut = A.reshape(*A.shape[:2], -1), _flat(np.moveaxis(t["dy"], 2, -1)), _flat(cut)
    dcut, dA, dB, db = _layer_grads(M, cut, kernels, t["B"], M.matmul(cut, _T(kernels[:, :r])), flat, r)
    dx = M.either(
        lambda: _add_patches(M, dcut, x.shape, A.shape[3:], a),
        lambda: _all_at_once(M, M.matmul(flat, t["B"][:, :, :r]), kernels[:, :r], x.shape, A.shape[3:], a),
    )
    return {"dx": dx, "dA": dA.reshape(A.shape), "dB": dB, "db": db}


def _windows(x, size):
    T, n, c, H, W = x.shape
    k_h, k_w = size
    cut = x.reshape(T, n, c, H // k_h, k_h, W // k_w, k_w)
    return np.moveaxis(cut, 4, 5).reshape(T, n, c, H // k_h, W // k_w, k_h * k_w)


def _average_pool2d_forward(M, t, a):
    total = M.sum(_windows(t["x"], a["size"]), 5)
    count = M.constant(math.prod(a["size"]))
    return {"y": M.stored(M.divide(total, _at(count, total)))}


def _average_pool2d_backward(M, t, a):
    dy = t["dy"]
    part = M.stored(M.divide(dy, _at(M.constant(math.prod(a["size"])), dy)))
    return {"dx": np.repeat(np.repeat(part, a["size"][0], axis=3), a["size"][1], axis=4)}


def _nested_embedding_forward(M, t, a):
    E, B, r, tokens = t["E"], t["B"], a["rank"], t["tokens"][0]
    looked_up = E[:, tokens, :r]
    y = M.either(
        lambda: M.matmul(looked_up, _T(B[:, :, :r])),
        lambda: M.matmul(E[:, :, :r], _T(B[:, :, :r]))[:, tokens],
    )
    return {"h": M.stored(looked_up), "y": y}


def _nested_embedding_backward(M, t, a):
    E, B, r, tokens, dy = t["E"], t["B"], a["rank"], t["tokens"][0], t["dy"]
    dE, dB = _zeros(E), _zeros(B)
    dh = M.matmul(dy, B[:, :, :r])
    for v in set(tokens.tolist()):
        dE[:, v, :r] = M.accumulate([dh[:, i] for i in np.flatnonzero(tokens == v)])
    dB[:, :, :r] = M.matmul(_T(dy), E[:, tokens, :r])
    return {"dE": dE, "dB": dB}


# --- norms ------------------------------------------------------------------------------------------------------------


def _mean(M, x):
    total = M.sum(x, x.ndim - 1)[..., None]
    return M.divide(total, _at(M.constant(x.shape[-1]), total))


def _scale(M, square, eps):
    """1 / sqrt(square + eps)."""
    shifted = M.add(square, _at(M.constant(eps), square))
    return M.either(
        lambda: M.function("rsqrt", shifted),
        lambda: M.divide(np.ones(shifted.shape), M.sqrt(shifted)),
    )


def _normalised(M, t, a):
    x = t["x"]
    mean = _mean(M, x)
    centred = M.subtract(x, mean)
    scale = _scale(M, _mean(M, M.multiply(centred, centred)), a["eps"])
    return centred, mean, scale


def _layer_norm_forward(M, t, a):
    centred, _, scale = _normalised(M, t, a)
    w, b = t["w"][:, None], t["b"][:, None]
    x_hat = M.multiply(centred, scale)
    y = M.either(
        lambda: M.add(M.multiply(x_hat, w), b),
        lambda: M.add(M.multiply(centred, M.multiply(scale, w)), b),
    )
    return {"x_hat": M.stored(x_hat), "y": M.stored(y)}


def _layer_norm_backward(M, t, a):
    centred, _, scale = _normalised(M, t, a)
    dy, x_hat = t["dy"], M.multiply(centred, scale)
    dx_hat = M.multiply(dy, t["w"][:, None])
    mean, along = _mean(M, dx_hat), _mean(M, M.multiply(dx_hat, x_hat))
    inner = M.subtract(M.subtract(dx_hat, mean), M.multiply(x_hat, along))
    return {
        "dx": M.stored(M.multiply(scale, inner)),
        "dw": M.stored(M.sum(M.multiply(dy, x_hat), 1)),
        "db": M.stored(M.sum(dy, 1)),
    }


def _rms_norm_forward(M, t, a):
    x, w = t["x"], t["w"][:, None]
    scale = _scale(M, _mean(M, M.multiply(x, x)), a["eps"])
    x_hat = M.multiply(x, scale)
    y = M.either(
        lambda: M.multiply(x_hat, w),
        lambda: M.multiply(M.multiply(x, w), scale),
        lambda: M.multiply(x, M.multiply(scale, w)),
    )
    return {"x_hat": M.stored(x_hat), "y": M.stored(y)}


def _rms_norm_backward(M, t, a):
    x, dy = t["x"], t["dy"]
    scale = _scale(M, _mean(M, M.multiply(x, x)), a["eps"])
    x_hat, dx_hat = M.multiply(x, scale), M.multiply(dy, t["w"][:, None])

    def by_x_hat():
        along = _mean(M, M.multiply(dx_hat, x_hat))
        return M.multiply(scale, M.subtract(dx_hat, M.multiply(x_hat, along)))

    def by_cube():
        along = _mean(M, M.multiply(dx_hat, x))
        cube = M.multiply(M.multiply(M.multiply(scale, scale), scale), along)
        return M.subtract(M.multiply(scale, dx_hat), M.multiply(x, cube))

    return {"dx": M.stored(M.either(by_x_hat, by_cube)), "dw": M.stored(M.sum(M.multiply(dy, x_hat), 1))}


# --- activations ------------------------------------------------------------------------------------------------------


def _relu_forward(M, t, a):
    return {"y": np.maximum(t["z"], 0.0)}


def _relu_backward(M, t, a):
    return {"dz": np.where(t["z"] > 0, t["dy"], 0.0)}


def _half(M, z):
    return _at(M.constant(0.5), z)


def _w(M, z):
    """sqrt(2 / pi) (z + 0.044715 z^3)."""
    c, k, one = (_at(M.constant(value), z) for value in (math.sqrt(2 / math.pi), 0.044715, 1.0))
    square = M.multiply(z, z)
    return M.either(
        lambda: M.multiply(c, M.add(z, M.multiply(M.multiply(M.multiply(k, z), z), z))),
        lambda: M.multiply(c, M.add(z, M.multiply(k, M.multiply(square, z)))),
        lambda: M.multiply(M.multiply(c, z), M.add(one, M.multiply(k, square))),
    )


def _phi(M, z, approximate):
    half, one = _half(M, z), _at(M.constant(1.0), z)
    if approximate == "none":
        arg = M.either(
            lambda: M.multiply(z, _at(M.constant(math.sqrt(0.5)), z)),
            lambda: M.divide(z, _at(M.constant(math.sqrt(2)), z)),
        )
        return M.either(
            lambda: M.multiply(half, M.add(one, M.function("erf", arg))),
            lambda: M.multiply(half, M.function("erfc", -arg)),
        )
    return M.either(
        lambda: M.multiply(half, M.add(one, M.function("tanh", _w(M, z)))),
        lambda: M.function("logistic", 2 * _w(M, z)),
    )


def _gelu_forward(M, t, a):
    return {"y": M.stored(M.multiply(t["z"], _phi(M, t["z"], a["approximate"])))}


def _gelu_backward(M, t, a):
    z, dy = t["z"], t["dy"]
    half, one, phi = _half(M, z), _at(M.constant(1.0), z), _phi(M, z, a["approximate"])
    if a["approximate"] == "none":
        square = M.multiply(M.multiply(half, z), z)
        dphi = M.multiply(M.function("exp", -square), _at(M.constant(1 / math.sqrt(2 * math.pi)), z))
    else:
        T = M.function("tanh", _w(M, z))
        c, k3 = (_at(M.constant(value), z) for value in (math.sqrt(2 / math.pi), 3 * 0.044715))
        sech = M.either(
            lambda: M.subtract(one, M.multiply(T, T)),
            lambda: M.multiply(M.subtract(one, T), M.add(one, T)),
        )
        slope = M.multiply(c, M.add(one, M.multiply(M.multiply(k3, z), z)))
        dphi = M.multiply(M.multiply(half, sech), slope)
    dz = M.either(
        lambda: M.multiply(dy, M.add(phi, M.multiply(z, dphi))),
        lambda: M.add(M.multiply(dy, phi), M.multiply(M.multiply(dy, z), dphi)),
    )
    return {"dz": M.stored(dz)}


def _p(M, z):
    one, half = _at(M.constant(1.0), z), _half(M, z)
    return M.either(
        lambda: M.function("logistic", z),
        lambda: M.divide(one, M.add(one, M.function("exp", -z))),
        lambda: M.multiply(half, M.add(one, M.function("tanh", M.multiply(half, z)))),
    )


def _silu_forward(M, t, a):
    z = t["z"]
    y = M.either(
        lambda: M.multiply(z, _p(M, z)),
        lambda: M.divide(z, M.add(_at(M.constant(1.0), z), M.function("exp", -z))),
    )
    return {"y": M.stored(y)}


def _silu_backward(M, t, a):
    z, dy, p = t["z"], t["dy"], _p(M, t["z"])
    one = _at(M.constant(1.0), z)
    dz = M.either(
        lambda: M.multiply(dy, M.multiply(p, M.add(one, M.multiply(z, M.subtract(one, p))))),
        lambda: M.multiply(dy, M.add(p, M.multiply(M.multiply(z, p), M.subtract(one, p)))),
    )
    return {"dz": M.stored(dz)}


# --- what decoders have -----------------------------------------------------------------------------------------------


def _embedding_forward(M, t, a):
    return {"y": M.stored(t["E"][:, t["tokens"][0]])}


def _embedding_backward(M, t, a):
    tokens, dE = t["tokens"][0], _zeros(t["E"])
    for v in set(tokens.tolist()):
        dE[:, v] = M.accumulate([t["dy"][:, i] for i in np.flatnonzero(tokens == v)])
    return {"dE": dE}


def _rotated(M, x, t, sign):
    P = t["cos"].shape[-1]
    each = [t[name] if t[name].ndim == 4 else t[name][:, None] for name in ("cos", "sin")]  # for each sequence
    cos, sin = (np.broadcast_to(table[..., None, :], (*x.shape[:-1], P)) for table in each)
    a, b = x[..., :P], x[..., P : 2 * P]

    def combined(one, c, other, s):
        """one c + other s; sometimes the second product goes into the sum unrounded."""
        return M.either(
            lambda: M.add(M.multiply(one, c), M.multiply(other, s)),
            lambda: (
                M.step(M.multiply(one, c) + other * s) if M.current.name != "float64" else M.add(one * c, other * s)
            ),
        )

    turned = combined(a, cos, b, -sign * sin), combined(b, cos, a, sign * sin)
    return M.stored(np.concatenate([*turned, x[..., 2 * P :]], axis=-1))


def _gated(activation):
    """Forward and backward of an activation times another factor."""
    activated, slope = activation

    def forward(M, t, a):
        value = M.maybe_stored(activated(M, {"z": t["gate"]}, a)["y"])
        return {"y": M.stored(M.multiply(value, t["up"]))}

    def backward(M, t, a):
        value = M.maybe_stored(activated(M, {"z": t["gate"]}, a)["y"])
        dgate = M.either(
            lambda: slope(M, {"z": t["gate"], "dy": M.maybe_stored(M.multiply(t["dy"], t["up"]))}, a)["dz"],
            lambda: M.stored(M.multiply(slope(M, {"z": t["gate"], "dy": t["dy"]}, a)["dz"], t["up"])),
        )
        return {"dgate": dgate, "dup": M.stored(M.multiply(t["dy"], value))}

    return forward, backward


def _per_head(M, x, y, product, share, out):
    """`product` of each head of x with the head of y that it uses; all are (trials, n, rows, heads, ...)."""
    parts = np.zeros(out)
    for i, h in np.ndindex(x.shape[1], x.shape[3]):
        parts[:, i, :, h] = product(x[:, i, :, h], y[:, i, :, h // share])
    return parts


def _scores(M, q, k, scale):
    """(trials, n, T, H, S): scaled before the product, after it, or half of it at either factor."""
    share, shape = q.shape[3] // k.shape[3], (*q.shape[:4], k.shape[2])

    def inner(q, k):
        return _per_head(M, q, k, lambda a, b: M.matmul(a, _T(b)), share, shape)

    def by_roots():
        root = _at(M.sqrt(M.constant(scale)), q)
        return inner(M.multiply(q, root), M.multiply(k, root))

    factor = _at(M.constant(scale), q)
    return M.either(
        lambda: M.multiply(inner(q, k), factor),
        lambda: inner(M.multiply(q, factor), k),
        by_roots,
    )


def _attended(M, t, a):
    """Output and weights, (trials, n, T, H, S)."""
    q, k, v = t["q"], t["k"], t["v"]
    T, S, share = q.shape[2], k.shape[2], q.shape[3] // k.shape[3]
    age = np.arange(S - T, S)[:, None] - np.arange(S)
    seen = ((age >= 0) & (age < a["window"]) & (t["mask"][0] > 0)[:, None])[:, :, None]  # (n, T, 1, S)
    z = M.maybe_stored(_scores(M, q, k, a["scale"]))
    top = np.where(seen, z, -np.inf).max(axis=-1, keepdims=True)
    shifted = np.where(seen, M.subtract(z, np.where(np.isfinite(top), top, 0.0)), 0.0)
    e = np.where(seen, M.function("exp", shifted), 0.0)
    total = np.where(seen.any(axis=-1, keepdims=True), M.sum(e, 4)[..., None], 1.0)
    p = M.either(
        lambda: M.divide(e, total),
        lambda: np.where(seen, M.function("exp", M.subtract(shifted, M.function("log", total))), 0.0),
    )

    def means(weights):
        return _per_head(M, weights, v, M.matmul, share, q.shape)

    y = M.either(
        lambda: means(M.maybe_stored(p)),
        lambda: M.stored(M.divide(means(M.maybe_stored(e)), total)),
    )
    return y, p


def _causal_attention_forward(M, t, a):
    y, p = _attended(M, t, a)
    return {"y": y, "p": M.stored(np.moveaxis(p, 2, 3))}


def _causal_attention_backward(M, t, a):
    q, k, v, dy = (t[name] for name in ("q", "k", "v", "dy"))
    y, p = _attended(M, t, a)
    share, scale, p = q.shape[3] // k.shape[3], M.constant(a["scale"]), M.maybe_stored(p)
    dp = _per_head(M, dy, v, lambda d, x: M.matmul(d, _T(x)), share, p.shape)
    along = M.either(
        lambda: M.sum(M.multiply(p, dp), 4)[..., None],
        lambda: M.sum(M.multiply(M.stored(y), dy), 4)[..., None],
    )
    dz = M.either(
        lambda: M.multiply(p, M.subtract(dp, along)),
        lambda: M.subtract(M.multiply(p, dp), M.multiply(p, along)),
    )

    def scaled(product, x):
        """The product of dz with x, scaled at one of three places."""
        return M.either(
            lambda: product(M.maybe_stored(M.multiply(dz, _at(scale, dz))), x),
            lambda: M.stored(M.multiply(product(M.maybe_stored(dz), x), _at(scale, x))),
            lambda: product(M.maybe_stored(dz), M.multiply(x, _at(scale, x))),
        )

    def to_queries(weights, x):
        return _per_head(M, weights, x, M.matmul, share, q.shape)

    def to_keys(weights, x):
        """Sums over positions and the heads of a group, stored head by head or all in one."""
        out = np.zeros(k.shape)
        for i, g in np.ndindex(k.shape[1], k.shape[3]):
            heads = range(g * share, (g + 1) * share)
            pairs = [(_T(weights[:, i, :, h]), x[:, i, :, h]) for h in heads]
            out[:, i, :, g] = M.either(
                lambda pairs=pairs: M.accumulate([M.matmul(*pair) for pair in pairs]),
                lambda pairs=pairs: M.matmul(
                    np.concatenate([w for w, _ in pairs], axis=-1), np.concatenate([x for _, x in pairs], axis=-2)
                ),
            )
        return out

    return {"dq": scaled(to_queries, k), "dk": scaled(to_keys, q), "dv": to_keys(p, dy)}


# --- losses -----------------------------------------------------------------------------------------------------------


def _log_softmax(M, z):
    """ln p, and e^(z - m) with its sum."""
    m = z.max(axis=-1, keepdims=True)
    shifted = M.subtract(z, m)
    e = M.function("exp", shifted)
    total = M.sum(e, e.ndim - 1)[..., None]
    log = M.function("log", total)
    return M.subtract(shifted, log), e, total, log, m


def _counted(t, a):
    """1 for each row, 0 for those that are ignored."""
    targets = t.get("targets")
    if targets is None or targets.dtype.kind == "f" or "ignore_index" not in a:
        return np.ones(t["z"].shape[:-1])
    return (targets != a["ignore_index"]).astype(float)


def _targets(M, t, a):
    targets, C, counted = t["targets"], t["z"].shape[-1], _counted(t, a)[..., None]
    soft = targets if targets.dtype.kind == "f" else np.eye(C)[np.maximum(targets, 0)] * counted
    if a["label_smoothing"]:
        s, one = _at(M.constant(a["label_smoothing"]), soft), _at(M.constant(1.0), soft)
        share = M.divide(s, _at(M.constant(C), soft))
        soft = M.add(M.multiply(M.subtract(one, s), soft), share) * counted
    return soft


def _count(M, t, a):
    return M.constant(_counted(t, a)[0].sum() if a["reduction"] == "mean" else 1)


def _cross_entropy_forward(M, t, a):
    z, soft = t["z"], _targets(M, t, a)
    log_p, e, total, log, m = _log_softmax(M, z)
    minus = M.either(
        lambda: -log_p,
        lambda: M.subtract(M.add(m, log), z),
    )
    terms = M.multiply(soft, minus)
    rows = M.sum(terms, terms.ndim - 1).reshape(M.trials, -1)
    loss = M.divide(M.sum(rows, 1), _count(M, t, a))
    p = M.either(lambda: M.function("exp", log_p), lambda: M.divide(e, total))
    return {"p": M.stored(p), "loss": M.stored(loss, M.master)}


def _cross_entropy_backward(M, t, a):
    soft = _targets(M, t, a)
    log_p, e, total, _, _ = _log_softmax(M, t["z"])
    p = M.either(lambda: M.function("exp", log_p), lambda: M.divide(e, total))
    p = (
        M.multiply(p, M.sum(soft, soft.ndim - 1)[..., None])
        if t["targets"].dtype.kind == "f" or a["label_smoothing"]
        else p * _counted(t, a)[..., None]
    )
    n, dloss = _count(M, t, a), t["dloss"]
    scale = _at(M.divide(dloss, n), p)
    dz = M.either(
        lambda: M.multiply(M.subtract(p, soft), scale),
        lambda: M.subtract(M.multiply(p, scale), M.multiply(soft, scale)),
        lambda: M.divide(M.multiply(M.subtract(p, soft), _at(dloss, p)), _at(n, p)),
    )
    return {"dz": M.stored(dz)}


def _mean_squared_error_forward(M, t, a):
    d = M.subtract(t["y"], t["targets"])
    terms = M.multiply(d, d).reshape(M.trials, -1)
    n = M.constant(terms.shape[1] if a["reduction"] == "mean" else 1)
    return {"loss": M.stored(M.divide(M.sum(terms, 1), n), M.master)}


def _mean_squared_error_backward(M, t, a):
    d = M.subtract(t["y"], t["targets"])
    n, dloss = M.constant(d[0].size if a["reduction"] == "mean" else 1), t["dloss"]
    dy = M.either(
        lambda: M.multiply(2 * d, _at(M.divide(dloss, n), d)),
        lambda: M.divide(M.multiply(2 * d, _at(dloss, d)), _at(n, d)),
    )
    return {"dy": M.stored(dy)}


def _softened(M, t, a):
    T = M.constant(a["temperature"])
    log_p, *_ = _log_softmax(M, M.divide(t["z"], _at(T, t["z"])))
    log_q, e, total, _, _ = _log_softmax(M, M.divide(t["teacher_z"], _at(T, t["z"])))
    q = M.either(lambda: M.function("exp", log_q), lambda: M.divide(e, total))
    return T, log_p, log_q, q


def _kl_distillation_forward(M, t, a):
    T, log_p, log_q, q = _softened(M, t, a)
    terms = M.either(
        lambda: M.multiply(q, M.subtract(log_q, log_p)),
        lambda: M.subtract(M.multiply(q, log_q), M.multiply(q, log_p)),
    )
    total = M.sum(M.sum(terms, terms.ndim - 1).reshape(M.trials, -1), 1)
    n = _count(M, t, a)
    loss = M.either(
        lambda: M.divide(M.multiply(M.multiply(total, T), T), n),
        lambda: M.multiply(total, M.divide(M.multiply(T, T), n)),
    )
    return {"p": M.stored(M.function("exp", log_p)), "q": M.stored(q), "loss": M.stored(loss, M.master)}


def _kl_distillation_backward(M, t, a):
    T, log_p, log_q, q = _softened(M, t, a)
    p, n = M.function("exp", log_p), _count(M, t, a)
    scale = _at(M.divide(M.multiply(t["dloss"], T), n), p)
    ratio = M.subtract(log_q, log_p)
    divergence = M.sum(M.multiply(q, ratio), p.ndim - 1)[..., None]
    dteacher = M.multiply(M.multiply(q, M.subtract(ratio, divergence)), scale)
    return {"dz": M.stored(M.multiply(M.subtract(p, q), scale)), "dteacher_z": M.stored(dteacher)}


# --- objective, weights, regularisers: numbers of the master format ---------------------------------------------------


def _w_k(M, s, variant):
    w = M.either(
        lambda: M.function("exp", -s),
        lambda: M.divide(np.ones(s.shape), M.function("exp", s)),
    )
    return w / 2 if variant == "bounded" else w


def _at_ranks(x, ranks):
    return x[:, np.array(ranks) - 1]


def _objective_forward(M, t, a):
    s, variant = _at_ranks(t["s"], a["ranks"]), a["variant"]
    w = _w_k(M, s, variant)
    penalty = {"uncertainty": s, "classification": s / 2}.get(variant)
    if penalty is None:
        one = _at(M.constant(1.0), s)
        penalty = M.either(
            lambda: M.function("log1p", M.function("exp", s)),
            lambda: M.function("log", M.add(one, M.function("exp", s))),
            lambda: M.add(np.maximum(s, 0), M.function("log1p", M.function("exp", -np.abs(s)))),
        )
    total = M.sum(M.add(M.multiply(w, t["losses"]), penalty), 1)
    return {"w": M.stored(w, M.master), "total": M.stored(total, M.master)}


def _objective_backward(M, t, a):
    s, dtotal = _at_ranks(t["s"], a["ranks"]), _at(t["dtotal"], t["losses"])
    w = _w_k(M, s, a["variant"])
    slope = {"uncertainty": np.ones(s.shape), "classification": np.full(s.shape, 0.5)}.get(a["variant"])
    slope = M.function("logistic", s) if slope is None else slope
    dlosses = M.multiply(w, dtotal)
    ds_k = M.either(
        lambda: M.multiply(M.subtract(slope, M.multiply(w, t["losses"])), dtotal),
        lambda: M.subtract(M.multiply(slope, dtotal), M.multiply(dlosses, t["losses"])),
    )
    ds = np.zeros(t["s"].shape)
    for k, r in enumerate(a["ranks"]):
        ds[:, r - 1] = M.add(ds[:, r - 1], ds_k[:, k])
    return {"dlosses": M.stored(dlosses, M.master), "ds": M.stored(ds, M.master)}


def _weighted_sum_forward(M, t, a):
    return {"total": M.stored(M.sum(M.multiply(_at_ranks(t["weights"], a["ranks"]), t["losses"]), 1), M.master)}


def _weighted_sum_backward(M, t, a):
    dtotal, dweights = _at(t["dtotal"], t["losses"]), np.zeros(t["weights"].shape)
    parts = M.multiply(t["losses"], dtotal)
    for k, r in enumerate(a["ranks"]):
        dweights[:, r - 1] = M.add(dweights[:, r - 1], parts[:, k])
    dlosses = M.multiply(_at_ranks(t["weights"], a["ranks"]), dtotal)
    return {"dlosses": M.stored(dlosses, M.master), "dweights": M.stored(dweights, M.master)}


def _by_rank(weights, a):
    out = np.zeros((len(weights), a["R"]))
    for k, r in enumerate(a["ranks"]):
        out[:, r - 1] = weights[:, k]
    return out


def _analytic_weights(M, t, a):
    return {"weights": M.stored(_by_rank(M.divide(np.ones(t["losses"].shape), t["losses"]), a), M.master)}


def _softmax_weights(M, t, a):
    losses = t["losses"]
    T = _at(M.constant(a["temperature"]), losses)
    z = M.divide(M.divide(np.ones(losses.shape), losses), T)
    log_p, *_ = _log_softmax(M, z)
    return {"weights": M.stored(_by_rank(M.function("exp", log_p), a), M.master)}


def _gradnorm_targets(M, t, a):
    rate = M.divide(t["losses"], t["first_losses"])
    rate = M.divide(rate, _mean(M, rate))
    norm = _mean(M, M.multiply(t["weights"], t["norms"]))
    power = M.function("exp", M.multiply(_at(M.constant(a["alpha"]), rate), M.function("log", rate)))
    return {"targets": M.stored(M.multiply(norm, power), M.master)}


def _gradnorm_forward(M, t, a):
    d = M.subtract(M.multiply(t["weights"], t["norms"]), t["targets"])
    return {"distance": M.stored(M.sum(np.abs(d), 1), M.master)}


def _gradnorm_backward(M, t, a):
    d = M.subtract(M.multiply(t["weights"], t["norms"]), t["targets"])
    ddistance = _at(t["ddistance"], d)
    return {"dweights": M.stored(M.multiply(np.sign(d) * t["norms"], ddistance), M.master)}


def _renormalised(M, t, a):
    w = t["weights"]
    total, K = M.sum(w, 1)[:, None], _at(M.constant(w.shape[1]), w)
    scaled = M.either(
        lambda: M.multiply(w, M.divide(K, total)),
        lambda: M.divide(M.multiply(w, K), total),
    )
    return {"scaled": M.stored(scaled, M.master)}


def _squares(M, x):
    return M.stored(M.sum(M.multiply(x, x).reshape(M.trials, -1), 1), M.master)


def _hard_orthogonality_forward(M, t, a):
    return {"penalty": _squares(M, M.subtract(M.matmul(t["A"], _T(t["A"])), np.eye(t["A"].shape[1])))}


def _hard_orthogonality_backward(M, t, a):
    A = t["A"]
    gap = M.subtract(M.matmul(A, _T(A)), np.eye(A.shape[1]))
    dgap = M.multiply(2 * gap, _at(t["dpenalty"], gap))
    return {
        "dA": M.either(
            lambda: M.stored(2 * M.matmul(dgap, A)),
            lambda: M.accumulate([M.matmul(dgap, A), M.matmul(_T(dgap), A)]),
        )
    }


def _residual_orthogonality_forward(M, t, a):
    A, r = t["A"], a["rank"]
    return {"penalty": _squares(M, M.matmul(A[:, :r], _T(A[:, r : a["anchor"]])))}


def _residual_orthogonality_backward(M, t, a):
    A, r, anchor = t["A"], a["rank"], a["anchor"]
    overlap = M.matmul(A[:, :r], _T(A[:, r:anchor]))
    d, dA = M.multiply(2 * overlap, _at(t["dpenalty"], overlap)), _zeros(A)
    dA[:, :r], dA[:, r:anchor] = M.matmul(d, A[:, r:anchor]), M.matmul(_T(d), A[:, :r])
    return {"dA": dA}


def _distance(prefix):
    anchor, variant = f"{prefix}_anchor", f"{prefix}_variant"

    def forward(M, t, a):
        d = M.subtract(t[anchor], t[variant])
        total = M.sum(M.multiply(d, d).reshape(M.trials, -1), 1)
        return {"penalty": M.stored(M.divide(total, M.constant(d.shape[1])), M.master)}

    def backward(M, t, a):
        d = M.subtract(t[anchor], t[variant])
        n, dpenalty = M.constant(d.shape[1]), t["dpenalty"]
        grad = M.either(
            lambda: M.divide(M.multiply(2 * d, _at(dpenalty, d)), _at(n, d)),
            lambda: M.multiply(2 * d, _at(M.divide(dpenalty, n), d)),
        )
        grad = M.stored(grad)
        return {f"d{anchor}": _zeros(grad) if a["stop_anchor"] else grad, f"d{variant}": -grad}

    return forward, backward


# --- optimisers -------------------------------------------------------------------------------------------------------


def _adamw_step(M, t, a):
    with M.inside(M.optimizer):
        return _adamw(M, t, a)


def _adamw(M, t, a):
    p, g, m, v = (t[name] for name in "pgmv")
    lr, b1, b2, eps, decay = (_at(M.constant(a[name]), p) for name in ("lr", "beta1", "beta2", "eps", "weight_decay"))
    one = _at(M.constant(1.0), p)
    r1, r2 = M.subtract(one, b1), M.subtract(one, b2)
    m = M.either(
        lambda: M.add(M.multiply(b1, m), M.multiply(r1, g)),
        lambda: M.add(m, M.multiply(r1, M.subtract(g, m))),
    )
    v = M.either(
        lambda: M.add(M.multiply(b2, v), M.multiply(M.multiply(r2, g), g)),
        lambda: M.add(M.multiply(b2, v), M.multiply(r2, M.multiply(g, g))),
        lambda: M.add(v, M.multiply(r2, M.subtract(M.multiply(g, g), v))),
    )
    new_m, new_v = m, v
    m, v = M.either(lambda: (m, v), lambda: (M.stored(m, M.master), M.stored(v, M.master)))
    c1, c2 = (M.subtract(one, _power(M, b, a["t"])) for b in (b1, b2))

    def plain():
        return M.multiply(lr, M.divide(M.divide(m, c1), M.add(M.sqrt(M.divide(v, c2)), eps)))

    def folded():
        root = M.add(M.divide(M.sqrt(v), M.sqrt(c2)), eps)
        return M.divide(M.multiply(M.divide(lr, c1), m), root)

    step = M.either(plain, folded)
    p = M.either(
        lambda: M.subtract(M.multiply(p, M.subtract(one, M.multiply(lr, decay))), step),
        lambda: M.subtract(M.subtract(p, M.multiply(M.multiply(lr, decay), p)), step),
    )
    return {name: M.stored(x, M.master) for name, x in (("m", new_m), ("v", new_v), ("p", p))}


def _power(M, x, n):
    """x^n by multiplications, or by a library function."""

    def by_products():
        out = x
        for _ in range(n - 1):
            out = M.multiply(out, x)
        return out

    room = (M.contract.ulps - 4) * M.current.unit_roundoff
    return M.either(by_products, lambda: M.step(x**n * (1 + room * M.rng.uniform(-1, 1, x.shape))) if n > 1 else x)


def _sgd_step(M, t, a):
    with M.inside(M.optimizer):
        return _sgd(M, t, a)


def _sgd(M, t, a):
    p, g, m = (t[name] for name in "pgm")
    lr, momentum, decay = (_at(M.constant(a[name]), p) for name in ("lr", "momentum", "weight_decay"))
    kept, shrink = M.multiply(momentum, m), M.multiply(decay, p)
    m = M.either(
        lambda: M.add(kept, M.add(g, shrink)),
        lambda: M.add(M.add(kept, g), shrink),
    )
    return {"m": M.stored(m, M.master), "p": M.stored(M.subtract(p, M.multiply(lr, m)), M.master)}


# --- networks ---------------------------------------------------------------------------------------------------------

_ACTIVATIONS = {
    "relu": (_relu_forward, _relu_backward, {}),
    "gelu": (_gelu_forward, _gelu_backward, {"approximate": "none"}),
    "gelu_tanh": (_gelu_forward, _gelu_backward, {"approximate": "tanh"}),
    "silu": (_silu_forward, _silu_backward, {}),
}
_LABELS = {"reduction": "mean", "label_smoothing": 0.0}


def _arguments(t, i):
    """The parameters of a layer, by the names that its operation has for them."""
    return {name: t[key] for name in "ABWb" if (key := f"param.layers.{i}.{name}") in t}


def _layer_forward(M, layer, rank):
    forward, attrs = _of_layer(layer, rank, _dense_forward, _nested_linear_forward, _nested_conv2d_forward)
    return forward(M, layer, attrs)["y"]


def _layer_backward(M, layer, rank):
    backward, attrs = _of_layer(layer, rank, _dense_backward, _nested_linear_backward, _nested_conv2d_backward)
    return backward(M, layer, attrs)


def _of_layer(layer, rank, dense, linear, convolution):
    """Which operation a layer is, and its attributes; images keep their size."""
    if "W" in layer:
        return dense, {}
    if layer["A"].ndim == 3:
        return linear, {"rank": rank}
    margin = layer["A"].shape[-1] // 2
    return convolution, {"rank": rank, "stride": [1, 1], "padding": [margin, margin]}


def _window(a, is_last):
    """The pool after a convolution: of the whole image before the last layer."""
    return {"size": list(a.shape[3:]) if is_last else [2, 2]}


def _pooled(M, a, is_last):
    if a.ndim == 3:
        return a
    y = _average_pool2d_forward(M, {"x": a}, _window(a, is_last))["y"]
    return y.reshape(y.shape[:3]) if is_last else y


def _before_pool(M, a, dx, is_last):
    if a.ndim == 3:
        return dx
    dy = dx.reshape(*dx.shape, 1, 1) if is_last else dx
    return _average_pool2d_backward(M, {"x": a, "dy": dy}, _window(a, is_last))["dx"]


def _net_at(M, t, a, rank):
    """Arguments, output and activation of every layer at one rank; the last layer has no activation."""
    x, kept = t["x"], []
    forward, _, options = _ACTIVATIONS[a["activation"]]
    for i in range(a["depth"]):
        layer = {"x": x} | _arguments(t, i)
        z = _layer_forward(M, layer, rank)
        activated = forward(M, {"z": z}, options)["y"] if i < a["depth"] - 1 else None
        kept.append((layer, z, activated))
        x = None if activated is None else _pooled(M, activated, i == a["depth"] - 2)
    return kept


def _net_forward(M, t, a):
    *hidden, (_, logits, _) = _net_at(M, t, a, a["rank"])
    made = {f"z.{i}": z for i, (_, z, _) in enumerate(hidden)}
    return made | {f"a.{i}": activated for i, (_, _, activated) in enumerate(hidden)} | {"logits": logits}


def _loss_and_grads(M, t, a):
    kept = [_net_at(M, t, a, rank) for rank in a["ranks"]]
    outputs = {f"z.{i}": _by_rank_of([layers[i][1] for layers in kept]) for i in range(a["depth"] - 1)}
    outputs |= {f"a.{i}": _by_rank_of([layers[i][2] for layers in kept]) for i in range(a["depth"] - 1)}
    logits = [layers[-1][1] for layers in kept]
    of_loss = [{"z": z, "targets": t["targets"]} for z in logits]
    losses = _by_rank_of([_cross_entropy_forward(M, o, _LABELS)["loss"] for o in of_loss])
    of_total = {"losses": losses, "s": t["param.s"], "dtotal": np.ones(M.trials)}
    weighed = _objective_backward(M, of_total, a)
    dzs = [
        _cross_entropy_backward(M, o | {"dloss": weighed["dlosses"][:, k]}, _LABELS)["dz"]
        for k, o in enumerate(of_loss)
    ]
    outputs |= {"logits": _by_rank_of(logits), "losses": losses, "w": weighed["dlosses"], "grad.s": weighed["ds"]}
    outputs |= {"total": _objective_forward(M, of_total, a)["total"], "dlogits": _by_rank_of(dzs)}
    _, backward, options = _ACTIVATIONS[a["activation"]]
    for i in reversed(range(a["depth"])):
        layers = [(at_rank[i][0] | {"dy": dz}, r) for at_rank, dz, r in zip(kept, dzs, a["ranks"], strict=True)]
        if i == 0 and t["x"].ndim == 3:
            parts = [_multirank_linear_backward(M, layers[0][0] | {"dys": _by_rank_of(dzs)}, a)]
        else:
            parts = [_layer_backward(M, layer, r) for layer, r in layers]
        for name in parts[0].keys() - {"dx"}:
            outputs[f"grad.layers.{i}.{name[1:]}"] = M.accumulate([part[name] for part in parts])
        if i:
            below = [at_rank[i - 1] for at_rank in kept]
            das = [
                _before_pool(M, activated, part["dx"], i == a["depth"] - 1)
                for (_, _, activated), part in zip(below, parts, strict=True)
            ]
            dzs = [backward(M, {"z": z, "dy": da}, options)["dz"] for (_, z, _), da in zip(below, das, strict=True)]
            outputs |= {f"da.{i - 1}": _by_rank_of(das), f"dz.{i - 1}": _by_rank_of(dzs)}
    return outputs


def _by_rank_of(parts):
    return np.stack(parts, axis=1)


def _step(M, t, a):
    outputs = _loss_and_grads(M, t, a)
    for key in [name.removeprefix("param.") for name in t if name.startswith("param.")]:
        state = {"p": t[f"param.{key}"], "g": outputs[f"grad.{key}"], "m": t[f"m.{key}"], "v": t[f"v.{key}"]}
        new = _adamw_step(M, state, a | ({"weight_decay": 0.0} if key == "s" else {}))
        outputs |= {f"param.{key}": new["p"], f"m.{key}": new["m"], f"v.{key}": new["v"]}
    return outputs


_MASTERS = ("losses", "w", "total", "grad.", "param.", "m.", "v.")


def _returned(net):
    """A net that may go on with more digits than it returns."""

    def operation(M, t, a):
        with M.holding():
            outputs = net(M, t, a)
        return {name: M.round(x, M.master if name.startswith(_MASTERS) else M.storage) for name, x in outputs.items()}

    return operation


# --- decoders ---------------------------------------------------------------------------------------------------------


def _tables(M, T, a):
    """Cosines and sines of the angles, (trials, T, P)."""
    P = 0 if a["family"] == "gpt_neo" else a["rotary"] // 2
    places, pair = np.broadcast_to(np.arange(T)[:, None], (M.trials, T, P)), np.arange(P) / max(P, 1)

    def by_logarithms():
        log_base = M.function("log", M.constant(a["rotary_base"]))[:, None]
        return M.function("exp", M.multiply(-log_base, M.step(np.broadcast_to(pair, (M.trials, P)))))

    def by_powers():
        return M.step(np.broadcast_to(a["rotary_base"] ** -pair, (M.trials, P)))

    angle = M.multiply(places, M.either(by_logarithms, by_powers)[:, None])
    return {"cos": M.stored(M.function("cos", angle)), "sin": M.stored(M.function("sin", angle))}


_SILU, _GELU = (_silu_forward, _silu_backward), (_gelu_forward, _gelu_backward)
_MLP_ACTIVATIONS = {
    "gpt_neox": (_GELU, {"approximate": "none"}),
    "qwen2": (_SILU, {}),
    "llama": (_SILU, {}),
    "gemma": (_GELU, {"approximate": "tanh"}),
    "gpt_neo": (_GELU, {"approximate": "tanh"}),
}


def _decoder_at(M, P, t, a, rank):
    """Logits at one rank on rows (trials, n T, V), and a function from their cotangent to the gradients by name."""
    tokens = t["tokens"][0]
    (n, T), heads, family = tokens.shape, a["heads"], a["family"]
    is_parallel, tables, parts = family == "gpt_neox", _tables(M, T, a), {}

    def apply(stem, key, names, x, **options):
        held = {name: P[f"{key}.{name}"] for name in names if f"{key}.{name}" in P}
        inputs = {"x": x, "b": np.zeros((M.trials, P[f"{key}.{names[-2]}"].shape[1]))} | held
        if family == "gemma" and "w" in held:
            inputs["w"] = M.stored(M.add(np.ones_like(held["w"]), held["w"]))

        def back(dy):
            found = OPERATIONS[f"{stem}_backward"](M, inputs | {"dy": dy}, options)
            for name in held:
                parts.setdefault(f"{key}.{name}", []).append(found[f"d{name}"])
            return found["dx"]

        return OPERATIONS[f"{stem}_forward"](M, inputs, options)["y"], back

    def linear(key, x):
        if f"{key}.A" in P:
            return apply("nested_linear", key, "ABb", x, rank=rank)
        return apply("dense", key, "Wb", x)

    def normed(key, x):
        return apply("layer_norm" if f"{key}.b" in P else "rms_norm", key, "wb", x, eps=a["eps"])

    def added(*terms):
        out = terms[0]
        for term in terms[1:]:
            out = M.stored(M.add(out, term))
        return out

    def scaled(x):
        if family != "gemma":
            return x
        return M.stored(M.multiply(x, _at(M.constant(math.sqrt(x.shape[-1])), x)))

    def attention(key, x):
        ys, backs = zip(*(linear(f"{key}.{name}", x) for name in "qkv"), strict=True)
        D = ys[0].shape[-1] // heads
        q, k, v = (y.reshape(M.trials, n, T, -1, D) for y in ys)
        q, k = (_rotated(M, heads, tables, 1) for heads in (q, k))
        inputs = {"q": q, "k": k, "v": v, "mask": t["mask"]}
        options = {"scale": 1.0 if family == "gpt_neo" else D**-0.5, "window": a["window"]}
        o = _causal_attention_forward(M, inputs, options)["y"]
        y, back_o = linear(f"{key}.o", o.reshape(M.trials, n * T, -1))

        def back(dy):
            found = _causal_attention_backward(M, inputs | {"dy": back_o(dy).reshape(o.shape)}, options)
            turned = _rotated(M, found["dq"], tables, -1), _rotated(M, found["dk"], tables, -1), found["dv"]
            return added(*(own(g.reshape(M.trials, n * T, -1)) for own, g in zip(backs, turned, strict=True)))

        return y, back

    def mlp(key, x):
        up, back_up = linear(f"{key}.up", x)
        (forward, backward), form = _MLP_ACTIVATIONS[family]
        if f"{key}.gate.A" not in P:
            y, back_down = linear(f"{key}.down", forward(M, {"z": up}, form)["y"])
            return y, lambda dy: back_up(backward(M, {"z": up, "dy": back_down(dy)}, form)["dz"])
        gate, back_gate = linear(f"{key}.gate", x)
        forward, backward = _gated((forward, backward))
        y, back_down = linear(f"{key}.down", forward(M, {"gate": gate, "up": up}, form)["y"])

        def back(dy):
            found = backward(M, {"gate": gate, "up": up, "dy": back_down(dy)}, form)
            return added(back_gate(found["dgate"]), back_up(found["dup"]))

        return y, back

    def branch(norm_key, function, key, x):
        x, back_norm = normed(norm_key, x)
        y, back = function(key, x)
        return y, lambda dy: back_norm(back(dy))

    x, backs = _flat(scaled(M.stored(P["embedding.E"][:, tokens]))), []
    if "positions.E" in P:
        x = added(x, _flat(np.repeat(P["positions.E"][:, None, :T], n, axis=1)))
    for key in (f"blocks.{i}" for i in range(a["blocks"])):
        change, back_attention = branch(f"{key}.norm1", attention, f"{key}.attention", x)
        read = x if is_parallel else added(x, change)
        inner, back_mlp = branch(f"{key}.norm2", mlp, f"{key}.mlp", read)
        x = added(x, change, inner)
        backs.append((back_attention, back_mlp))
    y, back_norm = normed("norm", x)
    table = "head.W" if "head.W" in P else "embedding.E"

    def back(dlogits):
        parts.setdefault(table, []).append(M.matmul(_T(dlogits), y))
        dx = back_norm(M.matmul(dlogits, P[table]))
        for back_attention, back_mlp in reversed(backs):
            through = back_mlp(dx)
            dx = added(dx, through, back_attention(dx if is_parallel else added(dx, through)))
        if "positions.E" in P:
            places = {"tokens": np.tile(np.arange(T), n)[None], "E": P["positions.E"], "dy": dx}
            parts.setdefault("positions.E", []).append(_embedding_backward(M, places, {})["dE"])
        looked_up = {"tokens": tokens.reshape(1, -1), "E": P["embedding.E"], "dy": scaled(dx)}
        parts.setdefault("embedding.E", []).append(_embedding_backward(M, looked_up, {})["dE"])
        return parts

    return M.matmul(y, _T(P[table])), back


def _decoder_loss_and_grads(M, t, a):
    P = {name.removeprefix("param."): x for name, x in t.items() if name.startswith("param.")}
    (n, T), labels = t["tokens"].shape[1:], np.full(t["targets"].shape, -100)
    labels[..., :-1] = t["targets"][..., 1:]
    options = _LABELS | {"ignore_index": -100}
    passes = [_decoder_at(M, P, t, a, rank) for rank in a["ranks"]]
    of_loss = [{"z": z, "targets": labels.reshape(M.trials, -1)} for z, _ in passes]
    losses = _by_rank_of([_cross_entropy_forward(M, each, options)["loss"] for each in of_loss])
    of_total = {"losses": losses, "s": P["s"], "dtotal": np.ones(M.trials)}
    weighed = _objective_backward(M, of_total, a)
    parts = {}
    for k, ((_, back), each) in enumerate(zip(passes, of_loss, strict=True)):
        dz = _cross_entropy_backward(M, each | {"dloss": weighed["dlosses"][:, k]}, options)["dz"]
        for key, own in back(dz).items():
            parts[key] = parts.get(key, []) + own
    logits = _by_rank_of([z.reshape(M.trials, n, T, -1) for z, _ in passes])
    outputs = {"logits": logits, "losses": losses, "w": weighed["dlosses"], "grad.s": weighed["ds"]}
    outputs["total"] = _objective_forward(M, of_total, a)["total"]
    return outputs | {f"grad.{key}": M.accumulate(own) for key, own in parts.items()}


OPERATIONS = {
    "dense_forward": _dense_forward,
    "dense_backward": _dense_backward,
    "nested_linear_forward": _nested_linear_forward,
    "nested_linear_backward": _nested_linear_backward,
    "multirank_linear_forward": _multirank_linear_forward,
    "multirank_linear_backward": _multirank_linear_backward,
    "conv2d_forward": _conv2d_forward,
    "conv2d_backward": _conv2d_backward,
    "nested_conv2d_forward": _nested_conv2d_forward,
    "nested_conv2d_backward": _nested_conv2d_backward,
    "average_pool2d_forward": _average_pool2d_forward,
    "average_pool2d_backward": _average_pool2d_backward,
    "nested_embedding_forward": _nested_embedding_forward,
    "nested_embedding_backward": _nested_embedding_backward,
    "embedding_forward": _embedding_forward,
    "embedding_backward": _embedding_backward,
    "rotary_forward": lambda M, t, a: {"y": _rotated(M, t["x"], t, 1)},
    "rotary_backward": lambda M, t, a: {"dx": _rotated(M, t["dy"], t, -1)},
    "causal_attention_forward": _causal_attention_forward,
    "causal_attention_backward": _causal_attention_backward,
    "swiglu_forward": _gated((_silu_forward, _silu_backward))[0],
    "swiglu_backward": _gated((_silu_forward, _silu_backward))[1],
    "geglu_forward": _gated((_gelu_forward, _gelu_backward))[0],
    "geglu_backward": _gated((_gelu_forward, _gelu_backward))[1],
    "layer_norm_forward": _layer_norm_forward,
    "layer_norm_backward": _layer_norm_backward,
    "rms_norm_forward": _rms_norm_forward,
    "rms_norm_backward": _rms_norm_backward,
    "relu_forward": _relu_forward,
    "relu_backward": _relu_backward,
    "gelu_forward": _gelu_forward,
    "gelu_backward": _gelu_backward,
    "silu_forward": _silu_forward,
    "silu_backward": _silu_backward,
    "softmax_cross_entropy_forward": _cross_entropy_forward,
    "softmax_cross_entropy_backward": _cross_entropy_backward,
    "mean_squared_error_forward": _mean_squared_error_forward,
    "mean_squared_error_backward": _mean_squared_error_backward,
    "kl_distillation_forward": _kl_distillation_forward,
    "kl_distillation_backward": _kl_distillation_backward,
    "objective_forward": _objective_forward,
    "objective_backward": _objective_backward,
    "weighted_sum_forward": _weighted_sum_forward,
    "weighted_sum_backward": _weighted_sum_backward,
    "analytic_weights": _analytic_weights,
    "softmax_weights": _softmax_weights,
    "gradnorm_targets": _gradnorm_targets,
    "gradnorm_forward": _gradnorm_forward,
    "gradnorm_backward": _gradnorm_backward,
    "renormalised": _renormalised,
    "hard_orthogonality_forward": _hard_orthogonality_forward,
    "hard_orthogonality_backward": _hard_orthogonality_backward,
    "residual_orthogonality_forward": _residual_orthogonality_forward,
    "residual_orthogonality_backward": _residual_orthogonality_backward,
    "logits_regularisation_forward": _distance("z")[0],
    "logits_regularisation_backward": _distance("z")[1],
    "hidden_regularisation_forward": _distance("h")[0],
    "hidden_regularisation_backward": _distance("h")[1],
    "adamw_step": _adamw_step,
    "sgd_step": _sgd_step,
    "mlp_forward": _returned(_net_forward),
    "mlp_loss_and_grads": _returned(_loss_and_grads),
    "mlp_step": _returned(_step),
    "convnet_step": _returned(_step),
    "decoder_loss_and_grads": _decoder_loss_and_grads,
}
FORMATS = {"decoder_loss_and_grads": ("float64", "float32")}  # where an operation has bounds, if not everywhere
