"""The operations in plain NumPy, written from the formulas in the README of this folder; it imports nothing else.

nsn-ref golden check golden/ports/numpy_port.py
"""

import math

import numpy as np


def run(op, inputs, attrs):
    """Outputs of one operation; an operation that is not here is not covered."""
    if op not in OPERATIONS:
        raise NotImplementedError(op)
    return {name: np.asarray(x) for name, x in OPERATIONS[op](inputs, attrs).items()}


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


# --- objective --------------------------------------------------------------------------------------------------------


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
    slope = {"uncertainty": s**0, "classification": s**0 / 2, "bounded": 1 / (1 + np.exp(-s))}[attrs["variant"]]
    ds = np.zeros_like(t["s"])
    np.add.at(ds, at, (slope - w * losses) * dtotal)  # a rank that is listed twice adds up
    return {"dlosses": w * dtotal, "ds": ds}


# --- training step ----------------------------------------------------------------------------------------------------


def erf(z):
    """The error function, element by element, in the dtype of z."""
    return np.vectorize(math.erf, otypes=[z.dtype])(z)


def relu(z):
    """max(z, 0), and its derivative."""
    return np.where(z > 0, z, 0 * z), np.where(z > 0, 1 + 0 * z, 0 * z)


def gelu(z):
    """z Phi(z), and its derivative Phi(z) + z phi(z)."""
    half = np.array(0.5, z.dtype)
    Phi = half * (1 + erf(z * np.sqrt(half)))
    return z * Phi, Phi + z * np.exp(-half * z * z) * np.sqrt(half / np.array(math.pi, z.dtype))


def gelu_tanh(z):
    """z (1 + tanh w) / 2 with w = sqrt(2 / pi) (z + 0.044715 z^3), and its derivative."""
    half, c = np.array(0.5, z.dtype), np.array(math.sqrt(2 / math.pi), z.dtype)
    cubic = np.array(0.044715, z.dtype)
    tanh = np.tanh(c * (z + cubic * z * z * z))
    slope = c * (1 + 3 * cubic * z * z)
    return half * z * (1 + tanh), half * (1 + tanh) + half * z * (1 - tanh) * (1 + tanh) * slope


def cross_entropy(z, targets):
    """Mean loss of logits, and softmax(z) - one_hot(targets)."""
    z = z - z.max(axis=1, keepdims=True)
    e = np.exp(z)
    total = e.sum(axis=1)
    row = np.arange(len(z))
    error = e / total[:, None]
    error[row, targets] -= 1
    return (np.log(total) - z[row, targets]).sum() / len(z), error


def mlp_step(t, attrs):
    """Forward at every rank, objective, backward, AdamW."""
    P = {name.removeprefix("param."): x for name, x in t.items() if name.startswith("param.")}
    nested, activation = attrs["head"] == "nested", ACTIVATIONS[attrs["activation"]]
    A0, B0, b0, b1 = P["layers.0.A"], P["layers.0.B"], P["layers.0.b"], P["layers.1.b"]
    kept = []
    for r in attrs["ranks"]:
        z0, h0 = layer(t["x"], A0, B0, b0, r)
        a, slope = activation(z0)
        if nested:
            z1, h1 = layer(a, P["layers.1.A"], P["layers.1.B"], b1, r)
        else:
            z1, h1 = matmul(a, P["layers.1.W"].T) + b1, None
        kept.append((h0, a, slope, h1, z1, *cross_entropy(z1, t["targets"])))
    losses = np.stack([k[5] for k in kept])
    of_objective = {"losses": losses, "s": P["s"], "dtotal": np.ones((), losses.dtype)}
    weighed = objective_backward(of_objective, attrs)
    grads = {key: np.zeros_like(p) for key, p in P.items()} | {"s": weighed["ds"]}
    for (h0, a, slope, h1, _, _, error), dloss in zip(kept, weighed["dlosses"], strict=True):
        dz1 = error * (dloss / len(error))
        if nested:
            da, *own = layer_grads(a, P["layers.1.A"], P["layers.1.B"], h1, dz1)
        else:
            da, own = matmul(dz1, P["layers.1.W"]), (matmul(dz1.T, a), dz1.sum(axis=0))
        _, *below = layer_grads(t["x"], A0, B0, h0, da * slope)
        names = [f"layers.0.{name}" for name in "ABb"] + [f"layers.1.{name}" for name in ("ABb" if nested else "Wb")]
        for name, grad in zip(names, [*below, *own], strict=True):
            grads[name] = grads[name] + grad
    outputs = {"logits": np.stack([k[4] for k in kept]), "losses": losses} | objective_forward(of_objective, attrs)
    for key, g in grads.items():
        outputs[f"grad.{key}"] = g
        decay = 0.0 if key == "s" else attrs["weight_decay"]
        step = adamw(P[key], g, t[f"m.{key}"], t[f"v.{key}"], decay, attrs)
        outputs |= {f"{prefix}.{key}": x for prefix, x in zip(("param", "m", "v"), step, strict=True)}
    return outputs


def adamw(p, g, m, v, decay, attrs):
    """The parameter and its moments after one step."""
    t, lr, beta1, beta2 = (attrs[name] for name in ("t", "lr", "beta1", "beta2"))
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    direction = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + attrs["eps"])
    return p - lr * decay * p - lr * direction, m, v


ACTIVATIONS = {"relu": relu, "gelu": gelu, "gelu_tanh": gelu_tanh}
OPERATIONS = {
    "nested_linear_forward": nested_linear_forward,
    "nested_linear_backward": nested_linear_backward,
    "multirank_linear_forward": multirank_linear_forward,
    "multirank_linear_backward": multirank_linear_backward,
    "objective_forward": objective_forward,
    "objective_backward": objective_backward,
    "mlp_step": mlp_step,
}
