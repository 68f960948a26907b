"""A right port whose text is there to plant mistakes in: every operation, in every format, in plain NumPy.

It has the formulas of golden/ports/numpy_port.py, and is kept apart from it on purpose. That one is an example for
readers, rounds a result once, and may change as they need; this one rounds wherever a port of its format stores, and is
one text without imports of ours, since copies of it are run and the replacements of `nsn_ref.golden.mutants.hand` match
it. `FORMAT` is set before a copy is run.

Float64 cases are computed in float64, all others in float32: `store` rounds what a port in a shorter format would keep
as a tensor, and `operand` what it would multiply.
"""

import math

import ml_dtypes
import numpy as np

FORMAT = globals().get("FORMAT", "float64")
STORAGE = {"tf32": "float32", "bfloat16_master": "bfloat16"}.get(FORMAT, FORMAT)
MASTER = {"tf32": "float32", "bfloat16_master": "float32"}.get(FORMAT, FORMAT)
OPERAND = {"bfloat16_master": "bfloat16"}.get(FORMAT, FORMAT)
WORK = np.float64 if FORMAT == "float64" else np.float32
CACHE = {}  # a right port keeps nothing
IGNORED = -100  # a decoder's label that does not count


def run(op, inputs, attrs):
    """Outputs of one operation, in the precision that they were computed in."""
    if op not in OPERATIONS:
        raise NotImplementedError(op)
    t = {name: x if x.dtype.kind in "iu" else x.astype(WORK) for name, x in inputs.items()}
    return OPERATIONS[op](t, attrs)


# --- formats ----------------------------------------------------------------------------------------------------------


def rounded(x, name):
    """Rounded to a format, in the dtype it had."""
    if name == "tf32":
        bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
        bits = (bits + 0xFFF + ((bits >> 13) & 1)) & np.uint32(0xFFFFE000)
        return bits.view(np.float32).astype(x.dtype).reshape(x.shape)
    return x.astype(ml_dtypes.bfloat16 if name == "bfloat16" else name).astype(x.dtype)


def store(x):
    """A tensor between two operations."""
    return rounded(np.asarray(x), STORAGE)


def store_master(x):
    """A parameter, a gradient of one, a loss."""
    return rounded(np.asarray(x), MASTER)


def operand(x):
    """A factor of a product of matrices."""
    return rounded(x, OPERAND)


def matmul(a, b):
    """Every product of matrices goes through here."""
    return operand(a) @ operand(b)


def total_of(x, axis=None):
    """Every other sum."""
    return x.sum(axis=axis)


def rows(x):
    """(..., d) as (n, d)."""
    return x.reshape(-1, x.shape[-1])


# --- linear layers ----------------------------------------------------------------------------------------------------


def dense(x, W, b):
    """Output of a dense layer, on rows."""
    return store(matmul(x, W.T) + b)


def dense_grads(x, W, dy):
    """Gradients of a dense layer, on rows."""
    return store(matmul(dy, W)), matmul(dy.T, x), total_of(dy, axis=0)


def layer(x, A, B, b, r):
    """Output of a nested layer at rank r, on rows; and h, which its gradients need."""
    h = store(matmul(x, A[:r].T))
    return store(matmul(h, B[:, :r].T) + b), h


def layer_grads(x, A, B, h, dy):
    """Gradients of a nested layer, on rows; those of unused components are zero."""
    r = h.shape[1]
    dA, dB, dh = np.zeros_like(A), np.zeros_like(B), store(matmul(dy, B[:, :r]))
    dA[:r] = matmul(dh.T, x)
    dB[:, :r] = matmul(dy.T, h)
    return store(matmul(dh, A[:r])), dA, dB, total_of(dy, axis=0)


def dense_forward(t, attrs):
    """The output y."""
    return {"y": dense(rows(t["x"]), t["W"], t["b"]).reshape(t["x"].shape[:-1] + t["b"].shape)}


def dense_backward(t, attrs):
    """The gradients."""
    dx, dW, db = dense_grads(rows(t["x"]), t["W"], rows(t["dy"]))
    return {"dx": dx.reshape(t["x"].shape), "dW": dW, "db": db}


def nested_linear_forward(t, attrs):
    """The output y, and h."""
    y, h = layer(rows(t["x"]), t["A"], t["B"], t["b"], attrs["rank"])
    leading = t["x"].shape[:-1]
    return {"y": y.reshape(leading + t["b"].shape), "h": h.reshape(leading + h.shape[1:])}


def nested_linear_backward(t, attrs):
    """The gradients."""
    x = rows(t["x"])
    h = store(matmul(x, t["A"][: attrs["rank"]].T))
    dx, dA, dB, db = layer_grads(x, t["A"], t["B"], h, rows(t["dy"]))
    return {"dx": dx.reshape(t["x"].shape), "dA": dA, "dB": dB, "db": db}


def multirank_linear_forward(t, attrs):
    """One output for each rank, by prefix sums over the components between neighbouring ranks."""
    ranks = attrs["ranks"]
    x, A, B, b = rows(t["x"]), t["A"], t["B"], t["b"]
    top = max(ranks)
    h = store(matmul(x, A[:top].T))
    z, below, found = np.zeros((len(x), len(b)), WORK), 0, {}
    for r in sorted(set(ranks)):
        z = z + matmul(h[:, below:r], B[:, below:r].T)
        below, found[r] = r, store(z + b)
    leading = t["x"].shape[:-1]
    ys = np.stack([found[r] for r in ranks])
    return {"ys": ys.reshape((len(ranks), *leading, len(b))), "h": h.reshape(leading + h.shape[1:])}


def multirank_linear_backward(t, attrs):
    """The gradients of K outputs, by suffix sums: component i belongs to all ranks from i on."""
    ranks = attrs["ranks"]
    x, A, B = rows(t["x"]), t["A"], t["B"]
    dys = t["dys"].reshape(len(ranks), len(x), -1)
    order = sorted(range(len(ranks)), key=lambda k: -ranks[k])
    h = matmul(x, A[: max(ranks)].T)
    dA, dB, dx = np.zeros_like(A), np.zeros_like(B), np.zeros_like(x)
    dy = np.zeros_like(dys[0])
    for place, k in enumerate(order):
        dy = dy + dys[k]
        r = ranks[k]
        below = ranks[order[place + 1]] if place + 1 < len(order) else 0
        dh = matmul(dy, B[:, below:r])
        dA[below:r] = matmul(dh.T, x)
        dB[:, below:r] = matmul(dy.T, h[:, below:r])
        dx = dx + matmul(dh, A[below:r])
    return {"dx": dx.reshape(t["x"].shape), "dA": dA, "dB": dB, "db": total_of(dy, axis=0)}


def nested_embedding_forward(t, attrs):
    """Rows of E by token, then B."""
    h = t["E"][t["tokens"]][..., : attrs["rank"]]
    return {"y": store(matmul(h, t["B"][:, : attrs["rank"]].T)), "h": h}


def nested_embedding_backward(t, attrs):
    """A token that occurs twice adds up."""
    r, tokens = attrs["rank"], t["tokens"].reshape(-1)
    h, dy = t["E"][tokens][:, :r], rows(t["dy"])
    dE, dB = np.zeros_like(t["E"]), np.zeros_like(t["B"])
    np.add.at(dE, (tokens[:, None], np.arange(r)), store(matmul(dy, t["B"][:, :r])))
    dB[:, : attrs["rank"]] = matmul(dy.T, h)
    return {"dE": dE, "dB": dB}


# --- convolution ------------------------------------------------------------------------------------------------------


def patches(x, kernel, stride, padding):
    """(n, c, H, W) as (n, H_out, W_out, c k_h k_w): what each position of the kernel sees."""
    (k_h, k_w), (s_h, s_w), (p_h, p_w) = kernel, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (p_h, p_h), (p_w, p_w)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (k_h, k_w), axis=(2, 3))[:, :, ::s_h, ::s_w]
    n, c, H, W = windows.shape[:4]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, H, W, c * k_h * k_w)


def patches_back(d, shape, kernel, stride, padding):
    """The cotangent of the image: every position adds to what it saw."""
    (k_h, k_w), (s_h, s_w), (p_h, p_w) = kernel, stride, padding
    n, c, H, W = shape
    H_out, W_out = d.shape[1:3]
    dx = np.zeros((n, c, H + 2 * p_h, W + 2 * p_w), d.dtype)
    d = d.reshape(n, H_out, W_out, c, k_h, k_w).transpose(0, 3, 4, 5, 1, 2)
    for i in range(k_h):
        for j in range(k_w):
            dx[:, :, i : i + s_h * H_out : s_h, j : j + s_w * W_out : s_w] += d[:, :, i, j]
    return dx[:, :, p_h : p_h + H, p_w : p_w + W]


def channels_last(x):
    """(n, c, H, W) as (n, H, W, c)."""
    return x.transpose(0, 2, 3, 1)


def channels_first(x):
    """(n, H, W, c) as (n, c, H, W)."""
    return x.transpose(0, 3, 1, 2)


def conv2d_forward(t, attrs):
    """A dense layer on patches."""
    W = t["W"]
    seen = patches(t["x"], W.shape[2:], attrs["stride"], attrs["padding"])
    return {"y": channels_first(store(matmul(seen, W.reshape(len(W), -1).T) + t["b"]))}


def conv2d_backward(t, attrs):
    """The gradients, through the patches."""
    W, dy = t["W"], channels_last(t["dy"])
    seen = patches(t["x"], W.shape[2:], attrs["stride"], attrs["padding"])
    dseen = matmul(dy, W.reshape(len(W), -1))
    return {
        "dx": patches_back(dseen, t["x"].shape, W.shape[2:], attrs["stride"], attrs["padding"]),
        "dW": matmul(rows(dy).T, rows(seen)).reshape(W.shape),
        "db": total_of(rows(dy), axis=0),
    }


def nested_conv(x, A, B, b, r, stride, padding):
    """Output and h of a nested convolution, channels first; and the patches."""
    seen = patches(x, A.shape[2:], stride, padding)
    y, h = layer(rows(seen), A.reshape(len(A), -1), B, b, r)
    leading = seen.shape[:3]
    return channels_first(y.reshape(*leading, -1)), channels_first(h.reshape(*leading, -1)), seen


def nested_conv_grads(x, A, B, h, seen, dy, stride, padding):
    """Gradients of a nested convolution."""
    flat = A.reshape(len(A), -1)
    dseen, dA, dB, db = layer_grads(rows(seen), flat, B, rows(channels_last(h)), rows(channels_last(dy)))
    dx = patches_back(dseen.reshape(seen.shape), x.shape, A.shape[2:], stride, padding)
    return dx, dA.reshape(A.shape), dB, db


def nested_conv2d_forward(t, attrs):
    """The output y, and h."""
    y, h, _ = nested_conv(t["x"], t["A"], t["B"], t["b"], attrs["rank"], attrs["stride"], attrs["padding"])
    return {"y": y, "h": h}


def nested_conv2d_backward(t, attrs):
    """The gradients."""
    geometry = attrs["stride"], attrs["padding"]
    _, h, seen = nested_conv(t["x"], t["A"], t["B"], t["b"], attrs["rank"], *geometry)
    grads = nested_conv_grads(t["x"], t["A"], t["B"], h, seen, t["dy"], *geometry)
    return dict(zip(("dx", "dA", "dB", "db"), grads, strict=True))


def pool(x, size):
    """Means over windows."""
    n, c, H, W = x.shape
    windows = x.reshape(n, c, H // size[0], size[0], W // size[1], size[1])
    return store(windows.sum(axis=(3, 5)) / WORK(size[0] * size[1]))


def pool_back(dy, size):
    """Every element of a window gets the same share."""
    return store(np.repeat(np.repeat(dy, size[0], axis=2), size[1], axis=3) / WORK(size[0] * size[1]))


# --- norms ------------------------------------------------------------------------------------------------------------


def normalised(x, eps):
    """x_hat of layer_norm, and one over the standard deviation."""
    centred = x - total_of(x, axis=-1)[..., None] / WORK(x.shape[-1])
    variance = total_of(centred * centred, axis=-1)[..., None] / WORK(x.shape[-1])
    scale = 1 / np.sqrt(variance + WORK(eps))
    return centred * scale, scale


def layer_norm_forward(t, attrs):
    """The output y, and x_hat."""
    x_hat, _ = normalised(t["x"], attrs["eps"])
    return {"y": x_hat * t["w"] + t["b"], "x_hat": x_hat}


def layer_norm_backward(t, attrs):
    """The gradients."""
    x_hat, scale = normalised(t["x"], attrs["eps"])
    dy, d = t["dy"], WORK(t["x"].shape[-1])
    g = dy * t["w"]
    mean_g = total_of(g, axis=-1)[..., None] / d
    mean_gx = total_of(g * x_hat, axis=-1)[..., None] / d
    dx = (g - mean_g - x_hat * mean_gx) * scale
    return {"dx": dx, "dw": total_of(rows(dy * x_hat), axis=0), "db": total_of(rows(dy), axis=0)}


def rms_norm_forward(t, attrs):
    """The output y, and x_hat."""
    x_hat, _ = scaled_by_rms(t["x"], attrs["eps"])
    return {"y": x_hat * t["w"], "x_hat": x_hat}


def scaled_by_rms(x, eps):
    """x_hat of rms_norm, and one over the root mean square."""
    scale = 1 / np.sqrt(total_of(x * x, axis=-1)[..., None] / WORK(x.shape[-1]) + WORK(eps))
    return x * scale, scale


def rms_norm_backward(t, attrs):
    """The gradients."""
    x_hat, scale = scaled_by_rms(t["x"], attrs["eps"])
    g = t["dy"] * t["w"]
    mean_gx = total_of(g * x_hat, axis=-1)[..., None] / WORK(t["x"].shape[-1])
    return {"dx": (g - x_hat * mean_gx) * scale, "dw": total_of(rows(t["dy"] * x_hat), axis=0)}


# --- activations: the value and the derivative ------------------------------------------------------------------------


def erfc(z):
    """1 - erf(z), element by element, without cancellation."""
    return np.vectorize(math.erfc, otypes=[np.float64])(z).astype(z.dtype)


def relu(z):
    """max(z, 0)."""
    return np.maximum(z, 0), (z > 0).astype(z.dtype)


def gelu(z):
    """z Phi(z)."""
    Phi = erfc(-z * WORK(math.sqrt(0.5))) / 2
    phi = np.exp(-z * z / 2) * WORK(1 / math.sqrt(2 * math.pi))
    return z * Phi, Phi + z * phi


def gelu_tanh(z):
    """z / (1 + exp(-2 w)) with w = sqrt(2 / pi) (z + 0.044715 z^3), which is z (1 + tanh w) / 2."""
    c, cubic = WORK(math.sqrt(2 / math.pi)), WORK(0.044715)
    w = c * (z + cubic * z * z * z)
    s, rest = logistic(2 * w), logistic(-2 * w)
    slope = 2 * c * (1 + 3 * cubic * z * z)
    return z * s, s + z * s * rest * slope


def logistic(z):
    """1 / (1 + exp(-z))."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-z))


def silu(z):
    """z logistic(z)."""
    s = logistic(z)
    return z * s, s + z * s * logistic(-z)


ACTIVATIONS = {"relu": relu, "gelu": gelu, "gelu_tanh": gelu_tanh, "silu": silu}


def activation(name):
    """Forward and backward operation of an activation."""

    def chosen(attrs):
        return ACTIVATIONS["gelu_tanh" if name == "gelu" and attrs["approximate"] == "tanh" else name]

    return (
        lambda t, attrs: {"y": chosen(attrs)(t["z"])[0]},
        lambda t, attrs: {"dz": chosen(attrs)(t["z"])[1] * t["dy"]},
    )


# --- what decoders have -----------------------------------------------------------------------------------------------


def embedding_forward(t, attrs):
    """Rows of E by token."""
    return {"y": t["E"][t["tokens"]]}


def embedding_backward(t, attrs):
    """Cotangents of equal tokens add up."""
    dE = np.zeros_like(t["E"])
    np.add.at(dE, t["tokens"].reshape(-1), rows(t["dy"]))
    return {"dE": dE}


def rotate(x, cos, sin):
    """Coordinates i and i + P of every head by an angle; the rest stays."""
    P = cos.shape[-1]
    cos, sin = cos[..., None, :], sin[..., None, :]
    first, second, rest = x[..., :P], x[..., P : 2 * P], x[..., 2 * P :]
    turned_first, turned_second = first * cos - second * sin, second * cos + first * sin
    return store(np.concatenate([turned_first, turned_second, rest], axis=-1))


def rotary_forward(t, attrs):
    """Rotate."""
    return {"y": rotate(t["x"], t["cos"], t["sin"])}


def rotary_backward(t, attrs):
    """Rotate back."""
    return {"dx": rotate(t["dy"], t["cos"], -t["sin"])}


def heads_first(x):
    """(n, T, H, D) as (n, H, T, D), and back."""
    return x.swapaxes(1, 2)


def visible(t, attrs):
    """Which keys a query sees: (n, 1, T, S)."""
    T, S = t["q"].shape[1], t["k"].shape[1]
    age = np.arange(S - T, S)[:, None] - np.arange(S)
    return (age >= 0) & (age < attrs["window"]) & (t["mask"] > 0)[:, None, None, :]


def attention(t, attrs):
    """Output (n, H, T, D) and weights (n, H, T, S); queries, keys and values with the heads first."""
    q, k, v = (heads_first(t[name]) for name in "qkv")
    share = q.shape[1] // k.shape[1]
    k, v = (x.repeat(share, axis=1) for x in (k, v))
    scores = matmul(q, k.swapaxes(2, 3)) * WORK(attrs["scale"])
    seen = visible(t, attrs)
    shift = np.where(seen, scores, -np.inf).max(axis=-1, keepdims=True)
    e = np.where(seen, np.exp(np.where(seen, scores - np.where(np.isfinite(shift), shift, 0), 0)), 0)
    mass = total_of(e, axis=-1)[..., None]
    p = e / np.where(mass > 0, mass, 1)
    return store(matmul(p, v)), p, q, k, v


def causal_attention_forward(t, attrs):
    """The output y, and the weights p."""
    y, p, *_ = attention(t, attrs)
    return {"y": heads_first(y), "p": p}


def of_groups(x, G):
    """The sum over the query heads that share a key head, positions first."""
    n, H, S, D = x.shape
    return heads_first(total_of(x.reshape(n, G, H // G, S, D), axis=2))


def causal_attention_backward(t, attrs):
    """The gradients."""
    _, p, q, k, v = attention(t, attrs)
    dy, G = heads_first(t["dy"]), t["k"].shape[2]
    dp = matmul(dy, v.swapaxes(2, 3))
    dz = p * (dp - total_of(dp * p, axis=-1)[..., None])
    dz = dz * WORK(attrs["scale"])
    dq, dk, dv = matmul(dz, k), matmul(dz.swapaxes(2, 3), q), matmul(p.swapaxes(2, 3), dy)
    return {"dq": heads_first(dq), "dk": of_groups(dk, G), "dv": of_groups(dv, G)}


def gated(name):
    """Forward and backward operation of an activation times another factor."""

    def chosen(t, attrs):
        act = ACTIVATIONS["gelu_tanh" if attrs.get("approximate") == "tanh" else name]
        return act(t["gate"])

    def gated_forward(t, attrs):
        value, _ = chosen(t, attrs)
        return {"y": value * t["up"]}

    def gated_backward(t, attrs):
        value, slope = chosen(t, attrs)
        return {"dgate": slope * t["up"] * t["dy"], "dup": value * t["dy"]}

    return gated_forward, gated_backward


# --- losses -----------------------------------------------------------------------------------------------------------


def log_softmax(z):
    """z - ln sum exp(z), row by row."""
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(total_of(np.exp(z), axis=-1)[..., None])


def softmax(z):
    """exp(z) / sum exp(z), row by row."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / total_of(e, axis=-1)[..., None]


def target_rows(t, attrs):
    """Target probabilities (n, C) and what the sum is divided by."""
    C = t["z"].shape[-1]
    smoothing = WORK(attrs["label_smoothing"])
    if attrs["targets"] == "soft":
        targets, counts = rows(t["targets"]), np.ones(t["z"].size // C, bool)
    else:
        labels = t["targets"].reshape(-1)
        counts = labels != attrs["ignore_index"]
        targets = np.eye(C, dtype=WORK)[np.where(counts, labels, 0)]
    targets = (1 - smoothing) * targets + smoothing / C
    n = counts.sum() if attrs["reduction"] == "mean" else 1
    return targets * counts[:, None], WORK(n)


def softmax_cross_entropy_forward(t, attrs):
    """The loss, and the probabilities."""
    targets, n = target_rows(t, attrs)
    loss = -total_of(targets * log_softmax(rows(t["z"]))) / n
    return {"loss": loss, "p": softmax(t["z"])}


def softmax_cross_entropy_backward(t, attrs):
    """The gradient of the logits."""
    targets, n = target_rows(t, attrs)
    dz = (softmax(rows(t["z"])) * total_of(targets, axis=1)[:, None] - targets) * (t["dloss"] / n)
    return {"dz": dz.reshape(t["z"].shape)}


def mean_squared_error_forward(t, attrs):
    """The loss."""
    residual = t["y"] - t["targets"]
    n = WORK(residual.size if attrs["reduction"] == "mean" else 1)
    return {"loss": total_of(residual * residual) / n}


def mean_squared_error_backward(t, attrs):
    """The gradient of the predictions."""
    n = WORK(t["y"].size if attrs["reduction"] == "mean" else 1)
    return {"dy": 2 * (t["y"] - t["targets"]) * (t["dloss"] / n)}


def kl_distillation_forward(t, attrs):
    """The loss, and both probabilities."""
    T = WORK(attrs["temperature"])
    n = WORK(len(rows(t["z"])) if attrs["reduction"] == "mean" else 1)
    log_p, log_q = log_softmax(t["z"] / T), log_softmax(t["teacher_z"] / T)
    q = np.exp(log_q)
    return {"loss": total_of(q * (log_q - log_p)) * T * T / n, "p": np.exp(log_p), "q": q}


def kl_distillation_backward(t, attrs):
    """The gradients of both logits."""
    T = WORK(attrs["temperature"])
    n = WORK(len(rows(t["z"])) if attrs["reduction"] == "mean" else 1)
    log_p, log_q = log_softmax(t["z"] / T), log_softmax(t["teacher_z"] / T)
    p, q, scale = np.exp(log_p), np.exp(log_q), t["dloss"] * T / n
    ratio = log_q - log_p
    divergence = total_of(q * ratio, axis=-1)[..., None]
    return {"dz": (p - q) * scale, "dteacher_z": q * (ratio - divergence) * scale}


# --- objective --------------------------------------------------------------------------------------------------------


def loss_weights(s, variant):
    """What the losses are multiplied by."""
    return np.exp(-s) / 2 if variant == "bounded" else np.exp(-s)


def objective_forward(t, attrs):
    """The total, and the weights."""
    s, variant = t["s"][np.array(attrs["ranks"]) - 1], attrs["variant"]
    w = loss_weights(s, variant)
    penalty = {"uncertainty": s, "classification": s / 2, "bounded": np.logaddexp(WORK(0), s)}[variant]
    return {"total": total_of(w * t["losses"] + penalty), "w": w}


def objective_backward(t, attrs):
    """Gradients of the losses and, by rank, of the log-variances."""
    at, variant = np.array(attrs["ranks"]) - 1, attrs["variant"]
    s, losses, dtotal = t["s"][at], t["losses"], t["dtotal"]
    w = loss_weights(s, variant)
    slope = {"uncertainty": s**0, "classification": s**0 / 2, "bounded": logistic(s)}[variant]
    ds = np.zeros_like(t["s"])
    np.add.at(ds, at, (slope - w * losses) * dtotal)
    return {"dlosses": w * dtotal, "ds": ds}


def weighted_sum_forward(t, attrs):
    """The total."""
    return {"total": total_of(t["weights"][np.array(attrs["ranks"]) - 1] * t["losses"])}


def weighted_sum_backward(t, attrs):
    """Gradients of the losses and of the weights."""
    at = np.array(attrs["ranks"]) - 1
    dweights = np.zeros_like(t["weights"])
    np.add.at(dweights, at, t["losses"] * t["dtotal"])
    return {"dlosses": t["weights"][at] * t["dtotal"], "dweights": dweights}


def by_rank(values, attrs):
    """Numbers at their ranks, 0 elsewhere; the last one for a rank listed twice."""
    out = np.zeros(attrs["R"], values.dtype)
    for r, value in zip(attrs["ranks"], values, strict=True):
        out[r - 1] = value
    return out


def analytic_weights(t, attrs):
    """1 / L."""
    return {"weights": by_rank(1 / t["losses"], attrs)}


def softmax_weights(t, attrs):
    """The softmax of 1 / (L T)."""
    return {"weights": by_rank(softmax(1 / t["losses"] / WORK(attrs["temperature"])), attrs)}


def gradnorm_targets(t, attrs):
    """The mean weighted norm times the relative training rate to the power alpha."""
    rate = t["losses"] / t["first_losses"]
    K = WORK(len(rate))
    rate = rate / (total_of(rate) / K)
    mean_norm = total_of(t["weights"] * t["norms"]) / K
    return {"targets": mean_norm * rate ** WORK(attrs["alpha"])}


def gradnorm_forward(t, attrs):
    """The distance."""
    return {"distance": total_of(np.abs(t["weights"] * t["norms"] - t["targets"]))}


def gradnorm_backward(t, attrs):
    """The gradient of the weights."""
    sign = np.sign(t["weights"] * t["norms"] - t["targets"])
    return {"dweights": sign * t["norms"] * t["ddistance"]}


def renormalised(t, attrs):
    """Weights that sum to their number."""
    return {"scaled": t["weights"] * (WORK(len(t["weights"])) / total_of(t["weights"]))}


# --- regularisers -----------------------------------------------------------------------------------------------------


def hard_orthogonality_forward(t, attrs):
    """The penalty."""
    gap = matmul(t["A"], t["A"].T) - np.eye(len(t["A"]), dtype=WORK)
    return {"penalty": total_of(gap * gap)}


def hard_orthogonality_backward(t, attrs):
    """The gradient."""
    gap = matmul(t["A"], t["A"].T) - np.eye(len(t["A"]), dtype=WORK)
    return {"dA": 4 * matmul(gap, t["A"]) * t["dpenalty"]}


def residual_orthogonality_forward(t, attrs):
    """The penalty."""
    overlap = matmul(t["A"][: attrs["rank"]], t["A"][attrs["rank"] : attrs["anchor"]].T)
    return {"penalty": total_of(overlap * overlap)}


def residual_orthogonality_backward(t, attrs):
    """The gradient; rows above the anchor get zero."""
    A, r, anchor = t["A"], attrs["rank"], attrs["anchor"]
    doverlap = 2 * matmul(A[:r], A[r:anchor].T) * t["dpenalty"]
    dA = np.zeros_like(A)
    dA[:r] = matmul(doverlap, A[r:anchor])
    dA[r:anchor] = matmul(doverlap.T, A[:r])
    return {"dA": dA}


def distance(prefix):
    """Forward and backward operation of a squared distance between an anchor and a variant."""

    def difference(t):
        d = t[f"{prefix}_anchor"] - t[f"{prefix}_variant"]
        return d, WORK(len(rows(d)))

    def forward(t, attrs):
        d, n = difference(t)
        return {"penalty": total_of(d * d) / n}

    def backward(t, attrs):
        d, n = difference(t)
        g = 2 * d * t["dpenalty"] / n
        own = np.zeros_like(g) if attrs["stop_anchor"] else g
        return {f"d{prefix}_anchor": own, f"d{prefix}_variant": -g}

    return forward, backward


# --- optimisers -------------------------------------------------------------------------------------------------------


def adamw(p, g, m, v, decay, attrs):
    """The moments and the parameter after one step."""
    lr, beta1, beta2, eps = (WORK(attrs[name]) for name in ("lr", "beta1", "beta2", "eps"))
    t, decay = attrs["t"], WORK(decay)
    m = beta1 * m + WORK(1 - attrs["beta1"]) * g
    v = beta2 * v + WORK(1 - attrs["beta2"]) * g * g
    m_hat = m / WORK(1 - attrs["beta1"] ** t)
    v_hat = v / WORK(1 - attrs["beta2"] ** t)
    step = lr * m_hat / (np.sqrt(v_hat) + eps)
    return m, v, p - lr * decay * p - step


def adamw_step(t, attrs):
    """One step for one parameter."""
    return dict(zip("mvp", adamw(t["p"], t["g"], t["m"], t["v"], attrs["weight_decay"], attrs), strict=True))


def sgd_step(t, attrs):
    """One step with momentum, and decay in the gradient."""
    g = t["g"] + WORK(attrs["weight_decay"]) * t["p"]
    m = WORK(attrs["momentum"]) * t["m"] + g
    return {"m": m, "p": t["p"] - WORK(attrs["lr"]) * m}


# --- nets -------------------------------------------------------------------------------------------------------------


def group(t, prefix):
    """The tensors with a prefix, without it."""
    return {name.removeprefix(f"{prefix}."): x for name, x in t.items() if name.startswith(f"{prefix}.")}


def net_forward(P, x, r, attrs, convolutional):
    """Everything that one rank computes: a dict by name, lists by layer."""
    act, last = ACTIVATIONS[attrs["activation"]], attrs["depth"] - 1
    kept = {"x": [], "h": [], "z": [], "a": [], "slope": [], "seen": [], "size": []}
    for i in range(last):
        A, B, b = (P[f"layers.{i}.{name}"] for name in "ABb")
        kept["x"].append(x)
        if convolutional:
            z, h, seen = nested_conv(x, A, B, b, r, (1, 1), (A.shape[2] // 2, A.shape[3] // 2))
            kept["seen"].append(seen)
        else:
            z, h = layer(x, A, B, b, r)
        a, slope = act(z)
        a = store(a)
        x = a
        if convolutional:
            size = (2, 2) if i < last - 1 else a.shape[2:]
            x = pool(a, size)
            kept["size"].append(size)
        for name, value in (("h", h), ("z", z), ("a", a), ("slope", slope)):
            kept[name].append(value)
    if convolutional:
        x = x.reshape(len(x), -1)
    kept["x"].append(x)
    if attrs["head"] == "nested":
        kept["logits"], h = layer(x, *(P[f"layers.{last}.{name}"] for name in "ABb"), r)
        kept["h"].append(h)
    else:
        kept["logits"] = dense(x, P[f"layers.{last}.W"], P[f"layers.{last}.b"])
    return kept


def net_backward(P, kept, dlogits, attrs, convolutional):
    """Gradients by name, and the cotangents of the activations and of what goes into them."""
    last, grads, da, dz = attrs["depth"] - 1, {}, {}, {}
    names = "ABb" if attrs["head"] == "nested" else "Wb"
    if attrs["head"] == "nested":
        A, B = P[f"layers.{last}.A"], P[f"layers.{last}.B"]
        dx, *own = layer_grads(kept["x"][last], A, B, kept["h"][last], dlogits)
    else:
        dx, *own = dense_grads(kept["x"][last], P[f"layers.{last}.W"], dlogits)
    grads |= {f"layers.{last}.{name}": g for name, g in zip(names, own, strict=True)}
    for i in reversed(range(last)):
        if convolutional:
            size, shape = kept["size"][i], kept["a"][i].shape
            dx = pool_back(dx.reshape(shape[0], shape[1], shape[2] // size[0], shape[3] // size[1]), size)
        da[i] = dx
        dz[i] = store(dx * kept["slope"][i])
        A, B = P[f"layers.{i}.A"], P[f"layers.{i}.B"]
        x, h = kept["x"][i], kept["h"][i]
        if convolutional:
            padding = A.shape[2] // 2, A.shape[3] // 2
            dx, *own = nested_conv_grads(x, A, B, h, kept["seen"][i], dz[i], (1, 1), padding)
            dx = store(dx)
        else:
            dx, *own = layer_grads(x, A, B, h, dz[i])
        grads |= {f"layers.{i}.{name}": g for name, g in zip("ABb", own, strict=True)}
    return grads, da, dz


def mlp_forward(t, attrs):
    """Logits at one rank."""
    kept = net_forward(group(t, "param"), t["x"], attrs["rank"], attrs, False)
    named = {f"{name}.{i}": x for name in "hza" for i, x in enumerate(kept[name])}
    return named | {"logits": kept["logits"]}


def padded(h, top):
    """Components (axis 1) up to the largest rank, zeros above."""
    h = h[:, :top]
    return np.concatenate([h, np.zeros((h.shape[0], top - h.shape[1], *h.shape[2:]), h.dtype)], axis=1)


def loss_and_grads(t, attrs, convolutional=False):
    """Forward at every rank, objective, backward."""
    P, ranks = group(t, "param"), attrs["ranks"]
    labels = {"targets": "labels", "reduction": "mean", "ignore_index": -1, "label_smoothing": 0.0}
    runs = [net_forward(P, t["x"], r, attrs, convolutional) for r in ranks]
    losses = [
        softmax_cross_entropy_forward({"z": kept["logits"], "targets": t["targets"]}, labels)["loss"] for kept in runs
    ]
    losses = store_master(np.stack(losses))
    of_objective = {"losses": losses, "s": P["s"], "dtotal": np.ones((), WORK)}
    objective, weighed = objective_forward(of_objective, attrs), objective_backward(of_objective, attrs)
    grads = {key: np.zeros_like(p) for key, p in P.items()} | {"s": weighed["ds"]}
    dlogits, das, dzs = [], [], []
    for kept, dloss in zip(runs, weighed["dlosses"], strict=True):
        of_loss = {"z": kept["logits"], "targets": t["targets"], "dloss": dloss}
        dlogits.append(store(softmax_cross_entropy_backward(of_loss, labels)["dz"]))
        own, da, dz = net_backward(P, kept, dlogits[-1], attrs, convolutional)
        das.append(da)
        dzs.append(dz)
        for key, g in own.items():
            grads[key] = grads[key] + g
    out = {f"h.{i}": np.stack([padded(k["h"][i], max(ranks)) for k in runs]) for i in range(len(runs[0]["h"]))}
    for i in range(attrs["depth"] - 1):
        out |= {f"{name}.{i}": np.stack([k[name][i] for k in runs]) for name in "za"}
        out |= {f"da.{i}": np.stack([d[i] for d in das]), f"dz.{i}": np.stack([d[i] for d in dzs])}
    out |= {"logits": np.stack([k["logits"] for k in runs]), "losses": losses, "dlogits": np.stack(dlogits)}
    return out | objective | {f"grad.{key}": store_master(g) for key, g in grads.items()}


def training_step(convolutional):
    """Loss and gradients, then AdamW; the log-variances have no decay."""

    def step(t, attrs):
        out = loss_and_grads(t, attrs, convolutional)
        m, v = group(t, "m"), group(t, "v")
        for key, p in group(t, "param").items():
            decay = 0.0 if key == "s" else attrs["weight_decay"]
            new = adamw(p, out[f"grad.{key}"], m[key], v[key], decay, attrs)
            out |= {f"{prefix}.{key}": x for prefix, x in zip(("m", "v", "param"), new, strict=True)}
        return out

    return step


MLP_ACTIVATIONS = {  # of a decoder, by family
    "gpt_neox": "gelu", "qwen2": "silu", "llama": "silu", "gemma": "gelu_tanh", "gpt_neo": "gelu_tanh",
}  # fmt: skip


def decoder_pass(P, t, attrs, rank):
    """Logits at one rank, and a function from their cotangent to the gradients by name.

    Which norms, gates and tables a decoder has, its parameters tell.
    """
    (n, T), heads, eps, family = t["tokens"].shape, attrs["heads"], attrs["eps"], attrs["family"]
    is_parallel, pairs = family == "gpt_neox", 0 if family == "gpt_neo" else attrs["rotary"] // 2
    embedding_scale = math.sqrt(P["embedding.E"].shape[1]) if family == "gemma" else 1.0
    angle = np.arange(T)[:, None] * attrs["rotary_base"] ** (-np.arange(pairs) / max(pairs, 1))
    cos, sin = (table.astype(P["s"].dtype) for table in (np.cos(angle), np.sin(angle)))
    grads = {}

    def added(key, g):
        grads[key] = g + grads.get(key, 0)

    def apply(stem, key, names, x, **options):
        """An operation with parameters of these names; back gives the cotangent of x."""
        held = {name: P[f"{key}.{name}"] for name in names if f"{key}.{name}" in P}
        inputs = {"x": x, "b": np.zeros(len(P[f"{key}.{names[-2]}"]), x.dtype)} | held
        if family == "gemma" and "w" in held:
            inputs["w"] = 1 + held["w"]
        (y,) = (y for name, y in OPERATIONS[f"{stem}_forward"](inputs, options).items() if name == "y")

        def back(dy):
            found = OPERATIONS[f"{stem}_backward"](inputs | {"dy": dy}, options)
            for name in held:
                added(f"{key}.{name}", found[f"d{name}"])
            return found["dx"]

        return y, back

    def linear(key, x):
        if f"{key}.A" in P:
            return apply("nested_linear", key, "ABb", x, rank=rank)
        return apply("dense", key, "Wb", x)

    def normed(key, x):
        return apply("layer_norm" if f"{key}.b" in P else "rms_norm", key, "wb", x, eps=eps)

    def attention(key, x):
        ys, backs = zip(*(linear(f"{key}.{name}", x) for name in "qkv"), strict=True)
        D = ys[0].shape[-1] // heads
        q, k, v = (y.reshape(n, T, -1, D) for y in ys)
        inputs = {"q": rotate(q, cos, sin), "k": rotate(k, cos, sin), "v": v, "mask": t["mask"]}
        options = {"scale": 1.0 if family == "gpt_neo" else D**-0.5, "window": attrs["window"]}
        o = causal_attention_forward(inputs, options)["y"]
        y, back_o = linear(f"{key}.o", o.reshape(n, T, -1))

        def back(dy):
            found = causal_attention_backward(inputs | {"dy": back_o(dy).reshape(o.shape)}, options)
            cotangents = rotate(found["dq"], cos, -sin), rotate(found["dk"], cos, -sin), found["dv"]
            return sum(own(g.reshape(n, T, -1)) for own, g in zip(backs, cotangents, strict=True))

        return y, back

    def mlp(key, x):
        up, back_up = linear(f"{key}.up", x)
        is_gated = f"{key}.gate.A" in P
        gate, back_gate = linear(f"{key}.gate", x) if is_gated else (up, back_up)
        value, slope = ACTIVATIONS[MLP_ACTIVATIONS[family]](gate)
        y, back_down = linear(f"{key}.down", value * up if is_gated else value)

        def back(dy):
            inner = back_down(dy)
            if is_gated:
                return back_gate(inner * up * slope) + back_up(inner * value)
            return back_up(inner * slope)

        return y, back

    def branch(norm_key, function, key, x):
        x, back_norm = normed(norm_key, x)
        y, back = function(key, x)
        return y, lambda dy: back_norm(back(dy))

    x, backs = P["embedding.E"][t["tokens"]] * WORK(embedding_scale), []
    if "positions.E" in P:
        x = x + P["positions.E"][:T]
    for key in (f"blocks.{i}" for i in range(attrs["blocks"])):
        change, back_attention = branch(f"{key}.norm1", attention, f"{key}.attention", x)
        inner, back_mlp = branch(f"{key}.norm2", mlp, f"{key}.mlp", x if is_parallel else x + change)
        x = x + change + inner
        backs.append((back_attention, back_mlp))
    y, back_norm = normed("norm", x)
    table = "head.W" if "head.W" in P else "embedding.E"
    logits = matmul(rows(y), P[table].T).reshape(n, T, -1)

    def back(dlogits):
        added(table, matmul(rows(dlogits).T, rows(y)))
        dx = back_norm(matmul(rows(dlogits), P[table]).reshape(y.shape))
        for back_attention, back_mlp in reversed(backs):
            through = back_mlp(dx)
            dx = dx + through + back_attention(dx if is_parallel else dx + through)
        if "positions.E" in P:
            unused = np.zeros_like(P["positions.E"][T:])
            added("positions.E", np.concatenate([total_of(dx, axis=0), unused]))
        of_tokens = {"tokens": t["tokens"], "E": P["embedding.E"], "dy": dx * WORK(embedding_scale)}
        added("embedding.E", embedding_backward(of_tokens, {})["dE"])
        return grads

    return logits, back


def decoder_loss_and_grads(t, attrs):
    """Logits predict the label of the next place; those of -100 do not count."""
    P = group(t, "param")
    labels = np.concatenate([t["targets"][:, 1:], np.full_like(t["targets"][:, :1], IGNORED)], axis=1)
    options = {"label_smoothing": 0.0, "targets": "labels", "ignore_index": IGNORED, "reduction": "mean"}
    passes = [decoder_pass(P, t, attrs, rank) for rank in attrs["ranks"]]
    of_loss = [{"z": z, "targets": labels} for z, _ in passes]
    losses = np.stack([softmax_cross_entropy_forward(each, options)["loss"] for each in of_loss])
    of_total = {"losses": losses, "s": P["s"], "dtotal": np.ones((), losses.dtype)}
    total, weighed = objective_forward(of_total, attrs)["total"], objective_backward(of_total, attrs)
    grads = {}
    for (_, back), each, dloss in zip(passes, of_loss, weighed["dlosses"], strict=True):
        for key, g in back(softmax_cross_entropy_backward(each | {"dloss": dloss}, options)["dz"]).items():
            grads[key] = grads.get(key, 0) + g
    grads["s"] = weighed["ds"]
    named = {"logits": np.stack([z for z, _ in passes]), "losses": losses, "total": total}
    return named | {f"grad.{key}": g for key, g in grads.items()}


# --- the table --------------------------------------------------------------------------------------------------------


def both(stem, forward, backward):
    """The two operations of a stem."""
    return {f"{stem}_forward": forward, f"{stem}_backward": backward}


OPERATIONS = {
    **both("dense", dense_forward, dense_backward),
    **both("nested_linear", nested_linear_forward, nested_linear_backward),
    **both("multirank_linear", multirank_linear_forward, multirank_linear_backward),
    **both("nested_embedding", nested_embedding_forward, nested_embedding_backward),
    **both("conv2d", conv2d_forward, conv2d_backward),
    **both("nested_conv2d", nested_conv2d_forward, nested_conv2d_backward),
    "average_pool2d_forward": lambda t, attrs: {"y": pool(t["x"], attrs["size"])},
    "average_pool2d_backward": lambda t, attrs: {"dx": pool_back(t["dy"], attrs["size"])},
    **both("embedding", embedding_forward, embedding_backward),
    **both("rotary", rotary_forward, rotary_backward),
    **both("causal_attention", causal_attention_forward, causal_attention_backward),
    **both("swiglu", *gated("silu")),
    **both("geglu", *gated("gelu")),
    **both("layer_norm", layer_norm_forward, layer_norm_backward),
    **both("rms_norm", rms_norm_forward, rms_norm_backward),
    **both("relu", *activation("relu")),
    **both("gelu", *activation("gelu")),
    **both("silu", *activation("silu")),
    **both("softmax_cross_entropy", softmax_cross_entropy_forward, softmax_cross_entropy_backward),
    **both("mean_squared_error", mean_squared_error_forward, mean_squared_error_backward),
    **both("kl_distillation", kl_distillation_forward, kl_distillation_backward),
    **both("objective", objective_forward, objective_backward),
    **both("weighted_sum", weighted_sum_forward, weighted_sum_backward),
    **both("gradnorm", gradnorm_forward, gradnorm_backward),
    **both("hard_orthogonality", hard_orthogonality_forward, hard_orthogonality_backward),
    **both("residual_orthogonality", residual_orthogonality_forward, residual_orthogonality_backward),
    **both("logits_regularisation", *distance("z")),
    **both("hidden_regularisation", *distance("h")),
    "analytic_weights": analytic_weights,
    "softmax_weights": softmax_weights,
    "gradnorm_targets": gradnorm_targets,
    "renormalised": renormalised,
    "adamw_step": adamw_step,
    "sgd_step": sgd_step,
    "mlp_forward": mlp_forward,
    "mlp_loss_and_grads": loss_and_grads,
    "mlp_step": training_step(False),
    "convnet_step": training_step(True),
    "decoder_loss_and_grads": decoder_loss_and_grads,
}
