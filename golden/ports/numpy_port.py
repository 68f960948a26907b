"""The operations in plain NumPy, written from the formulas in the README of this folder; it imports nothing else.

nsn-ref golden check golden/ports/numpy_port.py

It is for reading and copying. (nsn_ref/golden/mutants/victim.py, in which mistakes are planted, is a text of its own.)
"""

import math

import numpy as np

STAGES = ("z", "a", "dz", "da", "dlogits", "w")  # intermediates of a net
MASTERS = ("losses", "total", "w")  # of a net, in the format of the weights


def run(op, inputs, attrs):
    """Outputs of one operation; an operation that is not here is not covered.

    Formats shorter than float32 are computed in float32 and rounded at the end.
    """
    if op not in OPERATIONS:
        raise NotImplementedError(op)
    wide = {name: x if x.dtype.name in ("float64", "int64") else x.astype(np.float32) for name, x in inputs.items()}
    if op in TRAINING:
        outputs = TRAINING[op](wide, attrs, lambda name, x: x.astype(dtype(name, inputs)).astype(x.dtype))
    else:
        outputs = OPERATIONS[op](wide, attrs)
    short = any(x.dtype.name not in ("float64", "float32", "int64") for x in inputs.values())
    if short and "param.s" in inputs:  # the stages of a net were never rounded, so they are not returned
        outputs = {name: x for name, x in outputs.items() if name.split(".")[0] not in STAGES}
    return {name: np.asarray(x).astype(dtype(name, inputs)) for name, x in outputs.items()}


def dtype(name, inputs):
    """The format of an output, by the rule of the README; the order of the inputs says nothing."""
    for own in (name, name.removeprefix("d"), name.replace("grad.", "param.")):
        if own in inputs:
            return inputs[own].dtype
    source = "param.s" if name in MASTERS and "param.s" in inputs else "x"
    if source in inputs:
        return inputs[source].dtype
    return next(x.dtype for x in inputs.values() if x.dtype != np.int64)  # all floating inputs have the same


def open(attrs):
    """A session: this port keeps nothing between calls."""
    return Session()


class Session:
    """Calls on one object."""

    def call(self, op, inputs, attrs):
        """As `run`."""
        return run(op, inputs, attrs)


def matmul(a, b):
    """Every product of matrices goes through here."""
    return a @ b


def rows(x):
    """(B, T, d) or (n, d) as (n, d)."""
    return x.reshape(-1, x.shape[-1])


# --- linear layers ----------------------------------------------------------------------------------------------------


def layer(x, A, B, b, r):
    """Output of a nested layer at rank r, on rows; and h, which its gradients need."""
    h = matmul(x, A[:r].T)
    return matmul(h, B[:, :r].T) + b, h


def layer_grads(x, A, B, h, dy):
    """Gradients of a nested layer, on rows; those of unused components are zero."""
    r = h.shape[1]
    dA, dB, dh = np.zeros_like(A), np.zeros_like(B), matmul(dy, B[:, :r])
    dA[:r], dB[:, :r] = matmul(dh.T, x), matmul(dy.T, h)
    return matmul(dh, A[:r]), dA, dB, dy.sum(axis=0)


def dense_forward(t, attrs):
    """W x + b."""
    return {"y": (matmul(rows(t["x"]), t["W"].T) + t["b"]).reshape(t["x"].shape[:-1] + t["b"].shape)}


def dense_backward(t, attrs):
    """The gradients of a dense layer."""
    x, dy = rows(t["x"]), rows(t["dy"])
    return {"dx": matmul(dy, t["W"]).reshape(t["x"].shape), "dW": matmul(dy.T, x), "db": dy.sum(axis=0)}


def nested_linear_forward(t, attrs):
    """The output y."""
    y, _ = layer(rows(t["x"]), t["A"], t["B"], t["b"], attrs["rank"])
    return {"y": y.reshape(t["x"].shape[:-1] + t["b"].shape)}


def multirank_linear_forward(t, attrs):
    """One output for each rank."""
    return {"ys": np.stack([nested_linear_forward(t, {"rank": r})["y"] for r in attrs["ranks"]])}


def nested_linear_backward(t, attrs):
    """The gradients of one output."""
    x, A, B = rows(t["x"]), t["A"], t["B"]
    _, h = layer(x, A, B, t["b"], attrs["rank"])
    dx, dA, dB, db = layer_grads(x, A, B, h, rows(t["dy"]))
    return {"dx": dx.reshape(t["x"].shape), "dA": dA, "dB": dB, "db": db}


def multirank_linear_backward(t, attrs):
    """The gradients of K outputs, added up."""
    parts = [
        nested_linear_backward({**t, "dy": dy}, {"rank": r}) for dy, r in zip(t["dys"], attrs["ranks"], strict=True)
    ]
    return {name: sum(part[name] for part in parts) for name in parts[0]}


def nested_embedding_forward(t, attrs):
    """A lookup, then B_r."""
    r = attrs["rank"]
    y = matmul(rows(t["E"][t["tokens"], :r]), t["B"][:, :r].T)
    return {"y": y.reshape(*t["tokens"].shape, len(t["B"]))}


def nested_embedding_backward(t, attrs):
    """Gradients of a token that occurs twice add up."""
    r, dy = attrs["rank"], rows(t["dy"])
    dE, dB = np.zeros_like(t["E"]), np.zeros_like(t["B"])
    np.add.at(dE[:, :r], t["tokens"].reshape(-1), matmul(dy, t["B"][:, :r]))
    dB[:, :r] = matmul(dy.T, rows(t["E"][t["tokens"], :r]))
    return {"dE": dE, "dB": dB}


# --- images: a convolution is a linear layer on patches ---------------------------------------------------------------


def windows(x, kernel, stride, padding):
    """For each kernel pixel, the slice of the padded image that it meets; and the size of the output."""
    H, W = ((size + 2 * p - k) // s + 1 for size, p, k, s in zip(x.shape[2:], padding, kernel, stride, strict=True))
    places = {}
    for i, j in np.ndindex(*kernel):
        places[i, j] = (..., slice(i, i + stride[0] * H, stride[0]), slice(j, j + stride[1] * W, stride[1]))
    return places, (H, W)


def padded(x, padding):
    """Zeros around each image."""
    return np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))


def patches(x, kernel, stride, padding):
    """What the kernel sees at each position, as rows (n H W, c_in k_h k_w)."""
    places, size = windows(x, kernel, stride, padding)
    image = padded(x, padding)
    seen = np.stack([image[place] for place in places.values()], axis=2)  # (n, c, k_h k_w, H, W)
    return seen.transpose(0, 3, 4, 1, 2).reshape(len(x) * size[0] * size[1], -1), size


def unpatched(dpatches, x, kernel, stride, padding):
    """The gradient of the image: each pixel sums over the patches that hold it."""
    places, (H, W) = windows(x, kernel, stride, padding)
    out = padded(np.zeros_like(x), padding)
    parts = dpatches.reshape(len(x), H, W, x.shape[1], -1).transpose(4, 0, 3, 1, 2)
    for part, place in zip(parts, places.values(), strict=True):
        out[place] += part
    p, q = padding
    return out[:, :, p : p + x.shape[2], q : q + x.shape[3]]


def to_image(y, n, size):
    """Rows (n H W, c) as (n, c, H, W)."""
    return y.reshape(n, *size, -1).transpose(0, 3, 1, 2)


def to_rows(y):
    """(n, c, H, W) as (n H W, c)."""
    return y.transpose(0, 2, 3, 1).reshape(-1, y.shape[1])


def conv2d_forward(t, attrs):
    """A dense layer on patches."""
    seen, size = patches(t["x"], t["W"].shape[2:], attrs["stride"], attrs["padding"])
    return {"y": to_image(matmul(seen, t["W"].reshape(len(t["W"]), -1).T) + t["b"], len(t["x"]), size)}


def conv2d_backward(t, attrs):
    """Its gradients."""
    where = t["W"].shape[2:], attrs["stride"], attrs["padding"]
    (seen, _), dy = patches(t["x"], *where), to_rows(t["dy"])
    dx = unpatched(matmul(dy, t["W"].reshape(len(t["W"]), -1)), t["x"], *where)
    return {"dx": dx, "dW": matmul(dy.T, seen).reshape(t["W"].shape), "db": dy.sum(axis=0)}


def nested_conv2d_forward(t, attrs):
    """A nested layer on patches."""
    seen, size = patches(t["x"], t["A"].shape[2:], attrs["stride"], attrs["padding"])
    y, _ = layer(seen, t["A"].reshape(len(t["A"]), -1), t["B"], t["b"], attrs["rank"])
    return {"y": to_image(y, len(t["x"]), size)}


def nested_conv2d_backward(t, attrs):
    """Its gradients."""
    where = t["A"].shape[2:], attrs["stride"], attrs["padding"]
    (seen, _), A = patches(t["x"], *where), t["A"].reshape(len(t["A"]), -1)
    _, h = layer(seen, A, t["B"], t["b"], attrs["rank"])
    dseen, dA, dB, db = layer_grads(seen, A, t["B"], h, to_rows(t["dy"]))
    return {"dx": unpatched(dseen, t["x"], *where), "dA": dA.reshape(t["A"].shape), "dB": dB, "db": db}


def average_pool2d_forward(t, attrs):
    """Means over windows."""
    (n, c, H, W), (k_h, k_w) = t["x"].shape, attrs["size"]
    return {"y": t["x"].reshape(n, c, H // k_h, k_h, W // k_w, k_w).sum(axis=(3, 5)) / (k_h * k_w)}


def average_pool2d_backward(t, attrs):
    """An equal share for each pixel of the window."""
    k_h, k_w = attrs["size"]
    return {"dx": np.repeat(np.repeat(t["dy"] / (k_h * k_w), k_h, axis=2), k_w, axis=3)}


# --- norms ------------------------------------------------------------------------------------------------------------


def normalised(x, eps, centre):
    """x_hat and 1 / root."""
    x = x - x.sum(axis=-1, keepdims=True) / x.shape[-1] if centre else x
    scale = 1 / np.sqrt((x * x).sum(axis=-1, keepdims=True) / x.shape[-1] + eps)
    return x * scale, scale


def layer_norm_forward(t, attrs):
    """Subtract the mean, divide by the root, scale, shift."""
    return {"y": normalised(t["x"], attrs["eps"], True)[0] * t["w"] + t["b"]}


def rms_norm_forward(t, attrs):
    """Divide by the root, scale."""
    return {"y": normalised(t["x"], attrs["eps"], False)[0] * t["w"]}


def norm_backward(t, attrs, centre):
    """dx has no part along x_hat (but for eps), nor, if the mean was subtracted, along a constant."""
    x_hat, scale = normalised(t["x"], attrs["eps"], centre)
    g, d = t["dy"] * t["w"], t["x"].shape[-1]
    dx = g - x_hat * ((g * x_hat).sum(axis=-1, keepdims=True) / d)
    if centre:
        dx = dx - g.sum(axis=-1, keepdims=True) / d
    return {"dx": scale * dx, "dw": rows(t["dy"] * x_hat).sum(axis=0)}


def layer_norm_backward(t, attrs):
    """The bias gets the sum of the cotangents."""
    return norm_backward(t, attrs, True) | {"db": rows(t["dy"]).sum(axis=0)}


def rms_norm_backward(t, attrs):
    """There is no bias."""
    return norm_backward(t, attrs, False)


# --- activations ------------------------------------------------------------------------------------------------------


def erf(z):
    """The error function, element by element, in the dtype of z."""
    return np.vectorize(math.erf, otypes=[z.dtype])(z)


def erfc(z):
    """1 - erf(z), which does not cancel."""
    return np.vectorize(math.erfc, otypes=[z.dtype])(z)


def relu(z):
    """max(z, 0), and its derivative."""
    return np.where(z > 0, z, 0 * z), np.where(z > 0, 1 + 0 * z, 0 * z)


def gelu(z):
    """z Phi(z), and its derivative Phi(z) + z phi(z)."""
    half = np.array(0.5, z.dtype)
    Phi = half * erfc(-z * np.sqrt(half))
    return z * Phi, Phi + z * np.exp(-half * z * z) * np.sqrt(half / np.array(math.pi, z.dtype))


def gelu_tanh(z):
    """z (1 + tanh w) / 2 with w = sqrt(2 / pi) (z + 0.044715 z^3), and its derivative."""
    half, c = np.array(0.5, z.dtype), np.array(math.sqrt(2 / math.pi), z.dtype)
    cubic = np.array(0.044715, z.dtype)
    tanh = np.tanh(c * (z + cubic * z * z * z))
    slope = c * (1 + 3 * cubic * z * z)
    return half * z * (1 + tanh), half * (1 + tanh) + half * z * (1 - tanh) * (1 + tanh) * slope


def logistic(z):
    """1 / (1 + exp(-z)), without overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z > 0, 1, e) / (1 + e)


def silu(z):
    """z logistic(z), and its derivative."""
    p = logistic(z)
    return z * p, p + z * p * logistic(-z)


ACTIVATIONS = {"relu": relu, "gelu": gelu, "gelu_tanh": gelu_tanh, "silu": silu}


def activation(name_of):
    """Forward and backward of an activation whose name depends on the attributes."""

    def forward(t, attrs):
        return {"y": ACTIVATIONS[name_of(attrs)](t["z"])[0]}

    def backward(t, attrs):
        return {"dz": t["dy"] * ACTIVATIONS[name_of(attrs)](t["z"])[1]}

    return forward, backward


relu_forward, relu_backward = activation(lambda attrs: "relu")
silu_forward, silu_backward = activation(lambda attrs: "silu")
gelu_forward, gelu_backward = activation(lambda attrs: "gelu_tanh" if attrs["approximate"] == "tanh" else "gelu")


# --- what decoders have -----------------------------------------------------------------------------------------------


def embedding_forward(t, attrs):
    """The token's row."""
    return {"y": t["E"][t["tokens"]]}


def embedding_backward(t, attrs):
    """Gradients of a token that occurs twice add up."""
    dE = np.zeros_like(t["E"])
    np.add.at(dE, t["tokens"].reshape(-1), rows(t["dy"]))
    return {"dE": dE}


def rotated(x, cos, sin):
    """Coordinates i and i + P of each head, rotated by the angle of its position."""
    P = cos.shape[-1]
    cos, sin = cos[..., None, :], sin[..., None, :]
    a, b, rest = x[..., :P], x[..., P : 2 * P], x[..., 2 * P :]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin, rest], axis=-1)


def rotary_forward(t, attrs):
    """By the angle."""
    return {"y": rotated(t["x"], t["cos"], t["sin"])}


def rotary_backward(t, attrs):
    """By minus the angle."""
    return {"dx": rotated(t["dy"], t["cos"], -t["sin"])}


def by_key_head(x, G):
    """(n, T, H, D) as (n, G, H / G T, D): the queries of the heads that share a key head lie together."""
    n, T, H, D = x.shape
    return x.reshape(n, T, G, H // G, D).transpose(0, 2, 3, 1, 4).reshape(n, G, H // G * T, D)


def by_position(x, T):
    """The reverse."""
    n, G, rows_, D = x.shape
    return x.reshape(n, G, rows_ // T, T, D).transpose(0, 3, 1, 2, 4).reshape(n, T, G * (rows_ // T), D)


def seen_keys(t, attrs):
    """Where a query sees a key: (n, 1, H / G T, S)."""
    (_, T, H, _), (_, S, G, _) = t["q"].shape, t["k"].shape
    age = np.arange(S - T, S)[:, None] - np.arange(S)
    seen = (age >= 0) & (age < attrs["window"]) & (t["mask"] == 1)[:, None, :]
    return np.tile(seen, (1, H // G, 1))[:, None]


def attended(t, attrs):
    """Output and weights, by key head; a query that sees nothing has no weights and gives 0."""
    q, k, v = (by_key_head(t[name], t["k"].shape[2]) for name in "qkv")
    z = np.where(seen_keys(t, attrs), matmul(q, k.swapaxes(2, 3)) * attrs["scale"], -np.inf)
    top = z.max(axis=-1, keepdims=True)
    e = np.exp(z - np.where(np.isfinite(top), top, 0))
    total = e.sum(axis=-1, keepdims=True)
    p = e / np.where(total > 0, total, 1)
    return matmul(p, v), p, (q, k, v)


def causal_attention_forward(t, attrs):
    """The mean of the values."""
    return {"y": by_position(attended(t, attrs)[0], t["q"].shape[1])}


def causal_attention_backward(t, attrs):
    """Through the softmax: a weight's gradient less the mean of all, by the weights."""
    (_, T, _, _), (_, S, G, _) = t["q"].shape, t["k"].shape
    _, p, (q, k, v) = attended(t, attrs)
    dy = by_key_head(t["dy"], G)
    dp = matmul(dy, v.swapaxes(2, 3))
    dz = p * (dp - (p * dp).sum(axis=-1, keepdims=True)) * attrs["scale"]
    dk, dv = (by_position(matmul(weights.swapaxes(2, 3), x), S) for weights, x in ((dz, q), (p, dy)))
    return {"dq": by_position(matmul(dz, k), T), "dk": dk, "dv": dv}


def gated(name_of):
    """Forward and backward of an activation times another factor."""

    def forward(t, attrs):
        return {"y": ACTIVATIONS[name_of(attrs)](t["gate"])[0] * t["up"]}

    def backward(t, attrs):
        value, slope = ACTIVATIONS[name_of(attrs)](t["gate"])
        return {"dgate": t["dy"] * t["up"] * slope, "dup": t["dy"] * value}

    return forward, backward


swiglu_forward, swiglu_backward = gated(lambda attrs: "silu")
geglu_forward, geglu_backward = gated(lambda attrs: "gelu_tanh" if attrs["approximate"] == "tanh" else "gelu")


# --- losses -----------------------------------------------------------------------------------------------------------


def log_softmax(z):
    """ln softmax over the last axis."""
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def target_rows(t, attrs):
    """Target probabilities (n, C), zero in rows that are ignored; and what the sum is divided by."""
    z, C = rows(t["z"]), t["z"].shape[-1]
    if attrs["targets"] == "soft":
        q, counts = rows(t["targets"]), np.ones(len(z), bool)
    else:
        labels = t["targets"].reshape(-1)
        counts = labels != attrs["ignore_index"]
        q = np.eye(C, dtype=z.dtype)[np.where(counts, labels, 0)]
    smoothing = attrs["label_smoothing"]
    q = ((1 - smoothing) * q + smoothing / C) * counts[:, None]
    return q.astype(z.dtype), counts.sum().astype(z.dtype) if attrs["reduction"] == "mean" else z.dtype.type(1)


def softmax_cross_entropy_forward(t, attrs):
    """-sum q ln softmax(z)."""
    q, n = target_rows(t, attrs)
    return {"loss": -(q * log_softmax(rows(t["z"]))).sum() / n}


def softmax_cross_entropy_backward(t, attrs):
    """softmax(z) sum(q) - q."""
    q, n = target_rows(t, attrs)
    dz = np.exp(log_softmax(rows(t["z"]))) * q.sum(axis=1, keepdims=True) - q
    return {"dz": (dz * (t["dloss"] / n)).reshape(t["z"].shape)}


def size(t, name, attrs):
    """What a sum over all elements is divided by."""
    return t[name].size if attrs["reduction"] == "mean" else 1


def mean_squared_error_forward(t, attrs):
    """The sum or mean of squares."""
    return {"loss": ((t["y"] - t["targets"]) ** 2).sum() / size(t, "y", attrs)}


def mean_squared_error_backward(t, attrs):
    """Twice the residual."""
    return {"dy": (t["y"] - t["targets"]) * (2 * t["dloss"] / size(t, "y", attrs))}


def softened(t, attrs):
    """ln p, ln q, T and what the sum is divided by."""
    T = attrs["temperature"]
    n = t["z"].size // t["z"].shape[-1] if attrs["reduction"] == "mean" else 1
    return log_softmax(t["z"] / T), log_softmax(t["teacher_z"] / T), T, n


def kl_distillation_forward(t, attrs):
    """T^2 sum q (ln q - ln p)."""
    log_p, log_q, T, n = softened(t, attrs)
    return {"loss": (np.exp(log_q) * (log_q - log_p)).sum() * T * T / n}


def kl_distillation_backward(t, attrs):
    """Of student and teacher."""
    log_p, log_q, T, n = softened(t, attrs)
    q, ratio, scale = np.exp(log_q), log_q - log_p, t["dloss"] * T / n
    dteacher = q * (ratio - (q * ratio).sum(axis=-1, keepdims=True))
    return {"dz": (np.exp(log_p) - q) * scale, "dteacher_z": dteacher * scale}


# --- objective, weights, penalties ------------------------------------------------------------------------------------


def weights(s, variant):
    """What the losses are multiplied by."""
    return np.exp(-s) / 2 if variant == "bounded" else np.exp(-s)


def objective_forward(t, attrs):
    """The total."""
    s = t["s"][np.array(attrs["ranks"]) - 1]
    penalty = {"uncertainty": s, "classification": s / 2, "bounded": np.logaddexp(0 * s, s)}[attrs["variant"]]
    return {"total": (weights(s, attrs["variant"]) * t["losses"] + penalty).sum()}


def objective_backward(t, attrs):
    """Gradients of the losses and, by rank, of the log-variances."""
    at = np.array(attrs["ranks"]) - 1
    s, losses, dtotal = t["s"][at], t["losses"], t["dtotal"]
    w = weights(s, attrs["variant"])
    slope = {"uncertainty": s**0, "classification": s**0 / 2, "bounded": logistic(s)}[attrs["variant"]]
    ds = np.zeros_like(t["s"])
    np.add.at(ds, at, (slope - w * losses) * dtotal)  # a rank that is listed twice adds up
    return {"dlosses": w * dtotal, "ds": ds}


def weighted_sum_forward(t, attrs):
    """Each rank that is listed counts."""
    return {"total": (t["weights"][np.array(attrs["ranks"]) - 1] * t["losses"]).sum()}


def weighted_sum_backward(t, attrs):
    """A rank that is listed twice adds up."""
    at, dweights = np.array(attrs["ranks"]) - 1, np.zeros_like(t["weights"])
    np.add.at(dweights, at, t["losses"] * t["dtotal"])
    return {"dlosses": t["weights"][at] * t["dtotal"], "dweights": dweights}


def by_rank(values, attrs):
    """Values at their ranks, zero elsewhere; of a rank that is listed twice the last one."""
    out = np.zeros(attrs["R"], values.dtype)
    for r, value in zip(attrs["ranks"], values, strict=True):
        out[r - 1] = value
    return {"weights": out}


def analytic_weights(t, attrs):
    """1 / L."""
    return by_rank(1 / t["losses"], attrs)


def softmax_weights(t, attrs):
    """The softmax of 1 / (L T)."""
    return by_rank(np.exp(log_softmax(1 / t["losses"] / attrs["temperature"])), attrs)


def gradnorm_targets(t, attrs):
    """The mean norm times the rates to the power alpha."""
    rates = t["losses"] / t["first_losses"]
    mean_norm = (t["weights"] * t["norms"]).sum() / len(rates)
    return {"targets": mean_norm * (rates / (rates.sum() / len(rates))) ** attrs["alpha"]}


def gradnorm_forward(t, attrs):
    """The distance from the targets."""
    return {"distance": np.abs(t["weights"] * t["norms"] - t["targets"]).sum()}


def gradnorm_backward(t, attrs):
    """Its sign times the norm."""
    return {"dweights": np.sign(t["weights"] * t["norms"] - t["targets"]) * t["norms"] * t["ddistance"]}


def renormalised(t, attrs):
    """Weights that sum to K."""
    return {"scaled": t["weights"] * (len(t["weights"]) / t["weights"].sum())}


def gap(A):
    """A A^T - I."""
    return matmul(A, A.T) - np.eye(len(A), dtype=A.dtype)


def hard_orthogonality_forward(t, attrs):
    """Its sum of squares."""
    return {"penalty": (gap(t["A"]) ** 2).sum()}


def hard_orthogonality_backward(t, attrs):
    """A stands in it twice, and is squared."""
    return {"dA": 4 * t["dpenalty"] * matmul(gap(t["A"]), t["A"])}


def residual_orthogonality_forward(t, attrs):
    """Overlaps of the rows up to the rank and those from there to the anchor."""
    r, anchor = attrs["rank"], attrs["anchor"]
    return {"penalty": (matmul(t["A"][:r], t["A"][r:anchor].T) ** 2).sum()}


def residual_orthogonality_backward(t, attrs):
    """Rows above the anchor get zero."""
    A, r, anchor = t["A"], attrs["rank"], attrs["anchor"]
    doverlap, dA = 2 * t["dpenalty"] * matmul(A[:r], A[r:anchor].T), np.zeros_like(A)
    dA[:r], dA[r:anchor] = matmul(doverlap, A[r:anchor]), matmul(doverlap.T, A[:r])
    return {"dA": dA}


def distance(prefix):
    """A squared distance over the number of rows, and its gradients."""

    def forward(t, attrs):
        difference = t[f"{prefix}_anchor"] - t[f"{prefix}_variant"]
        return {"penalty": (difference**2).sum() / len(rows(difference))}

    def backward(t, attrs):
        difference = t[f"{prefix}_anchor"] - t[f"{prefix}_variant"]
        g = difference * (2 * t["dpenalty"]) / len(rows(difference))
        return {f"d{prefix}_anchor": np.zeros_like(g) if attrs["stop_anchor"] else g, f"d{prefix}_variant": -g}

    return forward, backward


logits_regularisation_forward, logits_regularisation_backward = distance("z")
hidden_regularisation_forward, hidden_regularisation_backward = distance("h")


# --- optimisers -------------------------------------------------------------------------------------------------------


def adamw(p, g, m, v, decay, attrs):
    """The parameter and its moments after one step."""
    t, lr, beta1, beta2 = (attrs[name] for name in ("t", "lr", "beta1", "beta2"))
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    direction = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + attrs["eps"])
    return p - lr * decay * p - lr * direction, m, v


def adamw_step(t, attrs):
    """One tensor."""
    new = adamw(t["p"], t["g"], t["m"], t["v"], attrs["weight_decay"], attrs)
    return dict(zip(("p", "m", "v"), new, strict=True))


def sgd_step(t, attrs):
    """The parameter and its momentum after one step."""
    m = attrs["momentum"] * t["m"] + (t["g"] + attrs["weight_decay"] * t["p"])
    return {"p": t["p"] - attrs["lr"] * m, "m": m}


# --- nets -------------------------------------------------------------------------------------------------------------


def group(t, prefix):
    """The tensors of one prefix."""
    return {name.removeprefix(f"{prefix}."): x for name, x in t.items() if name.startswith(f"{prefix}.")}


def block(P, i, x, rank, images):
    """The operation of layer i, its tensors and its attributes."""
    t = {name: P[f"layers.{i}.{name}"] for name in "ABWb" if f"layers.{i}.{name}" in P} | {"x": x}
    if images:
        return "nested_conv2d", t, {"rank": rank, "stride": (1, 1), "padding": (t["A"].shape[-1] // 2,) * 2}
    return ("nested_linear" if "A" in t else "dense"), t, {"rank": rank}


def forward_net(P, x, rank, attrs):
    """The stages at one rank, and a function from the cotangent of the logits to the other stages and gradients."""
    depth, images = attrs["depth"], x.ndim == 4
    stages, backs = {}, []
    for i in range(depth):
        op, t, own = block(P, i, x, rank, images and i < depth - 1)
        z = OPERATIONS[f"{op}_forward"](t, own)["y"]
        backs.append((op, t, own))
        if i == depth - 1:
            break
        a, slope = ACTIVATIONS[attrs["activation"]](z)
        stages |= {f"z.{i}": z, f"a.{i}": a}
        x = a
        if images:
            pool = {"size": (2, 2) if i < depth - 2 else a.shape[2:]}
            x = average_pool2d_forward({"x": a}, pool)["y"]
            x = x if i < depth - 2 else x[:, :, 0, 0]
        backs[-1] += (slope, pool if images else None)

    def backward_net(dz):
        found, grads = {}, {}
        for i in reversed(range(depth)):
            op, t, own, *after = backs[i]
            if after:
                slope, pool = after
                if pool:
                    dz = dz if dz.ndim == 4 else dz[:, :, None, None]
                    dz = average_pool2d_backward({"dy": dz}, pool)["dx"]
                found[f"da.{i}"] = dz
                dz = found[f"dz.{i}"] = dz * slope
            new = OPERATIONS[f"{op}_backward"]({**t, "dy": dz}, own)
            dz = new.pop("dx")
            grads |= {f"layers.{i}.{name[1:]}": g for name, g in new.items()}
        return found, grads

    return stages | {"logits": z}, backward_net


def mlp_forward(t, attrs):
    """Logits and stages at one rank."""
    return forward_net(group(t, "param"), t["x"], attrs["rank"], attrs)[0]


def loss_and_grads(t, attrs, stored):
    """Forward at every rank, objective, backward; what is returned is used as it is returned."""
    P, plain = group(t, "param"), {"targets": "labels", "reduction": "mean", "ignore_index": -100, "label_smoothing": 0}
    stages, backs = zip(*(forward_net(P, t["x"], rank, attrs) for rank in attrs["ranks"]), strict=True)
    with_labels = [{"z": stored("logits", each["logits"]), "targets": t["targets"]} for each in stages]
    losses = np.stack([softmax_cross_entropy_forward(each, plain)["loss"] for each in with_labels])
    of_objective = {"losses": losses, "s": P["s"], "dtotal": np.ones((), losses.dtype)}
    weighed = objective_backward(of_objective, attrs)
    grads, kept = {"s": weighed["ds"]}, []
    for each, back, dloss in zip(with_labels, backs, weighed["dlosses"], strict=True):
        dlogits = softmax_cross_entropy_backward({**each, "dloss": dloss}, plain)["dz"]
        found, own = back(dlogits)
        kept.append(found | {"dlogits": dlogits})
        grads = {name: grads[name] + g if name in grads else g for name, g in own.items()} | {"s": grads["s"]}
    outputs = {name: np.stack([each[name] for each in parts]) for parts in (stages, kept) for name in parts[0]}
    outputs |= {"losses": losses, "w": weighed["dlosses"]} | objective_forward(of_objective, attrs)
    return outputs | {f"grad.{name}": g for name, g in grads.items()}


def training_step(t, attrs, stored):
    """Loss and gradients, then AdamW on the gradients as they are returned; the log-variances have no decay."""
    outputs = loss_and_grads(t, attrs, stored)
    for key, p in group(t, "param").items():
        decay = 0.0 if key == "s" else attrs["weight_decay"]
        new = adamw(p, stored(f"grad.{key}", outputs[f"grad.{key}"]), t[f"m.{key}"], t[f"v.{key}"], decay, attrs)
        outputs |= {f"{prefix}.{key}": x for prefix, x in zip(("param", "m", "v"), new, strict=True)}
    return outputs


TRAINING = {"mlp_loss_and_grads": loss_and_grads, "mlp_step": training_step, "convnet_step": training_step}


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
        grads[key] = grads[key] + g if key in grads else g

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
        inputs = {"q": rotated(q, cos, sin), "k": rotated(k, cos, sin), "v": v, "mask": t["mask"]}
        options = {"scale": 1.0 if family == "gpt_neo" else D**-0.5, "window": attrs["window"]}
        o = causal_attention_forward(inputs, options)["y"]
        y, back_o = linear(f"{key}.o", o.reshape(n, T, -1))

        def back(dy):
            found = causal_attention_backward(inputs | {"dy": back_o(dy).reshape(o.shape)}, options)
            cotangents = rotated(found["dq"], cos, -sin), rotated(found["dk"], cos, -sin), found["dv"]
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

    x, backs = embedding_scale * P["embedding.E"][t["tokens"]], []
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
            added("positions.E", np.concatenate([dx.sum(axis=0), unused]))
        of_tokens = {"tokens": t["tokens"], "E": P["embedding.E"], "dy": embedding_scale * dx}
        added("embedding.E", embedding_backward(of_tokens, {})["dE"])
        return grads

    return logits, back


def decoder_loss_and_grads(t, attrs):
    """Logits predict the label of the next place; those of -100 do not count."""
    P = group(t, "param")
    labels = np.concatenate([t["targets"][:, 1:], np.full_like(t["targets"][:, :1], -100)], axis=1)
    options = {"targets": "labels", "reduction": "mean", "ignore_index": -100, "label_smoothing": 0.0}
    passes = [decoder_pass(P, t, attrs, rank) for rank in attrs["ranks"]]
    of_loss = [{"z": z, "targets": labels} for z, _ in passes]
    losses = np.stack([softmax_cross_entropy_forward(each, options)["loss"] for each in of_loss])
    of_objective = {"losses": losses, "s": P["s"], "dtotal": np.ones((), losses.dtype)}
    total, weighed = objective_forward(of_objective, attrs)["total"], objective_backward(of_objective, attrs)
    grads = {}
    for (_, back), each, dloss in zip(passes, of_loss, weighed["dlosses"], strict=True):
        for key, g in back(softmax_cross_entropy_backward(each | {"dloss": dloss}, options)["dz"]).items():
            grads[key] = grads.get(key, 0) + g
    grads["s"] = weighed["ds"]
    named = {"logits": np.stack([z for z, _ in passes]), "losses": losses, "total": total}
    return named | {f"grad.{key}": g for key, g in grads.items()}


STEMS = (
    "dense", "nested_linear", "multirank_linear", "nested_embedding", "conv2d", "nested_conv2d", "average_pool2d",
    "layer_norm", "rms_norm", "relu", "gelu", "silu", "softmax_cross_entropy", "mean_squared_error", "kl_distillation",
    "objective", "weighted_sum", "gradnorm", "hard_orthogonality", "residual_orthogonality", "logits_regularisation",
    "hidden_regularisation", "embedding", "rotary", "causal_attention", "swiglu", "geglu",
)  # fmt: skip
OPERATIONS = {
    **{f"{stem}_{way}": globals()[f"{stem}_{way}"] for stem in STEMS for way in ("forward", "backward")},
    "analytic_weights": analytic_weights,
    "softmax_weights": softmax_weights,
    "gradnorm_targets": gradnorm_targets,
    "renormalised": renormalised,
    "adamw_step": adamw_step,
    "sgd_step": sgd_step,
    "mlp_forward": mlp_forward,
    "decoder_loss_and_grads": decoder_loss_and_grads,
    **TRAINING,
}
