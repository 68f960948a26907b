"""Every operation of the suite as scalar loops, written from the formulas in golden/README.md.

Numbers are Fractions where the operation is rational and 300-bit balls where it is not. Nothing of nsn_ref is used.
"""

from fractions import Fraction

import flint
import numpy as np

BITS = 300
CUBIC = Fraction(44715, 1000000)


def evaluate(op, inputs, attrs):
    """Outputs by name: nested lists, or one number."""
    kind = Fraction if "linear" in op else flint.arb
    before, flint.ctx.prec = flint.ctx.prec, BITS
    try:
        t = {name: lists(x, kind) if x.dtype.kind == "f" else x.tolist() for name, x in inputs.items()}
        outputs = OPERATIONS[op](t, attrs)
        return {name: nearest(value) for name, value in outputs.items()}
    finally:
        flint.ctx.prec = before


def lists(x, kind):
    return [lists(part, kind) for part in x] if x.ndim else kind(float(x))


def nearest(value):
    """The float64 nearest to each number, by Python's own correctly rounded division of integers."""
    if isinstance(value, (list, tuple)):
        return np.array([nearest(part) for part in value])
    if isinstance(value, Fraction):
        return np.float64(float(value))
    ends = []
    for end in (value.lower(), value.upper()):
        man, exp = end.man_exp()
        man, exp = int(man), int(exp)
        ends.append(float(man * Fraction(2) ** exp))
    assert ends[0] == ends[1], f"{value} is not decided at {BITS} bits"
    return np.float64(ends[0])


# --- linear layers: y[j] = b[j] + sum over i < r of B[j][i] (A[i] . x) ------------------------------------------------


def dot(a, b):
    return sum((p * q for p, q in zip(a, b, strict=True)), start=0 * a[0])


def layer(x, A, B, b, r):
    h = [[dot(A[i], row) for i in range(r)] for row in x]
    return [[b[j] + dot(B[j][:r], hs) for j in range(len(b))] for hs in h]


def layer_grads(x, A, B, r, dy):
    """dx[k] = sum_j sum_i dy[j] B[j][i] A[i][k], and so on; zero for components from r on."""
    n, d_in, d_out, R, zero = len(x), len(x[0]), len(B), len(A), 0 * x[0][0]
    dh = [[dot(row, [B[j][i] for j in range(d_out)]) for i in range(r)] for row in dy]
    h = [[dot(A[i], row) for i in range(r)] for row in x]
    dx = [[dot(dhs, [A[i][k] for i in range(r)]) for k in range(d_in)] for dhs in dh]
    dA = [
        [sum((dh[q][i] * x[q][k] for q in range(n)), start=zero) if i < r else zero for k in range(d_in)]
        for i in range(R)
    ]
    dB = [
        [sum((dy[q][j] * h[q][i] for q in range(n)), start=zero) if i < r else zero for i in range(R)]
        for j in range(d_out)
    ]
    db = [sum((dy[q][j] for q in range(n)), start=zero) for j in range(d_out)]
    return dx, dA, dB, db


def add(a, b):
    return [add(p, q) for p, q in zip(a, b, strict=True)] if isinstance(a, list) else a + b


def flat(x):
    """Rows of an (n, d) or a (B, T, d) list."""
    return [row for part in x for row in part] if isinstance(x[0][0], list) else x


def like(flat_rows, x):
    """Flat rows in the leading axes of x."""
    if not isinstance(x[0][0], list):
        return flat_rows
    T = len(x[0])
    return [flat_rows[k : k + T] for k in range(0, len(flat_rows), T)]


def nested_linear_forward(t, attrs):
    x, r = t["x"], attrs["rank"]
    h = [[dot(t["A"][i], row) for i in range(r)] for row in flat(x)]
    return {"y": like(layer(flat(x), t["A"], t["B"], t["b"], r), x), "h": like(h, x)}


def nested_linear_backward(t, attrs):
    dx, dA, dB, db = layer_grads(flat(t["x"]), t["A"], t["B"], attrs["rank"], flat(t["dy"]))
    return {"dx": like(dx, t["x"]), "dA": dA, "dB": dB, "db": db}


def multirank_linear_forward(t, attrs):
    ys = [nested_linear_forward(t, {"rank": r})["y"] for r in attrs["ranks"]]
    return {"ys": ys, "h": nested_linear_forward(t, {"rank": max(attrs["ranks"])})["h"]}


def multirank_linear_backward(t, attrs):
    total = None
    for dy, r in zip(t["dys"], attrs["ranks"], strict=True):
        grads = nested_linear_backward({**t, "dy": dy}, {"rank": r})
        total = grads if total is None else {name: add(total[name], grads[name]) for name in grads}
    return total


# --- objective --------------------------------------------------------------------------------------------------------


def weigh(losses, s, ranks, variant, dtotal):
    """total, w, dlosses, ds."""
    half = flint.arb(1) / 2
    total, w, dlosses, ds = flint.arb(0), [], [], [flint.arb(0) for _ in s]
    for loss, r in zip(losses, ranks, strict=True):
        at = s[r - 1]
        scale, penalty, slope = {
            "uncertainty": (1, at, 1),
            "classification": (1, at * half, half),
            "bounded": (half, (1 + at.exp()).log(), at.exp() / (1 + at.exp())),
        }[variant]
        w.append(scale / at.exp())
        total += w[-1] * loss + penalty
        dlosses.append(w[-1] * dtotal)
        ds[r - 1] += dtotal * (slope - w[-1] * loss)
    return total, w, dlosses, ds


def objective_forward(t, attrs):
    total, w, _, _ = weigh(t["losses"], t["s"], attrs["ranks"], attrs["variant"], flint.arb(1))
    return {"total": total, "w": w}


def objective_backward(t, attrs):
    _, _, dlosses, ds = weigh(t["losses"], t["s"], attrs["ranks"], attrs["variant"], t["dtotal"])
    return {"dlosses": dlosses, "ds": ds}


# --- training step ----------------------------------------------------------------------------------------------------


def activation(name, z):
    """The value and the derivative."""
    two, pi = flint.arb(2), flint.arb.pi()
    if name == "relu":
        return (z, flint.arb(1)) if z > 0 else (0 * z, flint.arb(0))
    if name == "gelu":
        Phi = (1 + (z / two.sqrt()).erf()) / 2
        return z * Phi, Phi + z * (-z * z / 2).exp() / (2 * pi).sqrt()
    cubic = flint.arb(CUBIC.numerator) / CUBIC.denominator
    c = (2 / pi).sqrt()
    tanh = (c * (z + cubic * z * z * z)).tanh()
    return z * (1 + tanh) / 2, (1 + tanh) / 2 + z * (1 - tanh * tanh) * c * (1 + 3 * cubic * z * z) / 2


def cross_entropy(z, targets):
    """The mean loss, and its gradient."""
    loss, dz = flint.arb(0), []
    for row, target in zip(z, targets, strict=True):
        total = sum((x.exp() for x in row), start=flint.arb(0))
        loss += total.log() - row[target]
        dz.append([(x.exp() / total - (c == target)) / len(z) for c, x in enumerate(row)])
    return loss / len(z), dz


def mlp_step(t, attrs):
    p = {name.removeprefix("param."): x for name, x in t.items() if name.startswith("param.")}
    A0, B0, b0, b1 = p["layers.0.A"], p["layers.0.B"], p["layers.0.b"], p["layers.1.b"]
    nested = attrs["head"] == "nested"
    if nested:
        A1, B1 = p["layers.1.A"], p["layers.1.B"]
    else:  # the dense head is a nested one with A = identity, at full rank
        width = len(b0)
        A1 = [[flint.arb(i == k) for k in range(width)] for i in range(width)]
        B1 = p["layers.1.W"]
    kept = []
    for r in attrs["ranks"]:
        z0 = layer(t["x"], A0, B0, b0, r)
        both = [[activation(attrs["activation"], z) for z in row] for row in z0]
        a, slope = [[pair[0] for pair in row] for row in both], [[pair[1] for pair in row] for row in both]
        z1 = layer(a, A1, B1, b1, r if nested else len(A1))
        kept.append((r, a, slope, z1, *cross_entropy(z1, t["targets"])))
    losses = [k[4] for k in kept]
    total, _, dlosses, ds = weigh(losses, p["s"], attrs["ranks"], attrs["variant"], flint.arb(1))
    grads = {"s": ds}
    for (r, a, slope, _, _, dz), dloss in zip(kept, dlosses, strict=True):
        dz = [[g * dloss for g in row] for row in dz]
        da, dA1, dB1, db1 = layer_grads(a, A1, B1, r if nested else len(A1), dz)
        dz0 = [[g * s for g, s in zip(*rows, strict=True)] for rows in zip(da, slope, strict=True)]
        _, dA0, dB0, db0 = layer_grads(t["x"], A0, B0, r, dz0)
        own = {"layers.1.A": dA1, "layers.1.B": dB1} if nested else {"layers.1.W": dB1}
        own |= {"layers.0.A": dA0, "layers.0.B": dB0, "layers.0.b": db0, "layers.1.b": db1}
        grads |= {key: add(grads[key], g) if key in grads else g for key, g in own.items()}
    out = {"logits": [k[3] for k in kept], "losses": losses, "total": total}
    for key, g in grads.items():
        decay = 0.0 if key == "s" else attrs["weight_decay"]
        state = p[key], g, t[f"m.{key}"], t[f"v.{key}"]
        new = elementwise(lambda *xs, decay=decay: adamw(*xs, decay, attrs), *state)
        out[f"grad.{key}"] = g
        out |= {f"{name}.{key}": pick(new, k) for k, name in enumerate(("param", "m", "v"))}
    return out


def adamw(p, g, m, v, decay, attrs):
    lr, beta1, beta2, eps, decay = map(flint.arb, (*(attrs[k] for k in ("lr", "beta1", "beta2", "eps")), decay))
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat, v_hat = m / (1 - beta1 ** attrs["t"]), v / (1 - beta2 ** attrs["t"])
    return p * (1 - lr * decay) - lr * m_hat / (v_hat.sqrt() + eps), m, v


def elementwise(function, *arrays):
    if isinstance(arrays[0], list):
        return [elementwise(function, *parts) for parts in zip(*arrays, strict=True)]
    return function(*arrays)


def pick(x, k):
    return x[k] if isinstance(x, tuple) else [pick(part, k) for part in x]


OPERATIONS = {
    function.__name__: function
    for function in (
        nested_linear_forward,
        nested_linear_backward,
        multirank_linear_forward,
        multirank_linear_backward,
        objective_forward,
        objective_backward,
        mlp_step,
    )
}
