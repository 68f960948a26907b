"""What decoders have: lookups, rotations and attention number by number; the softmax by its whole Jacobian matrix."""

import flint

from golden_formulas.functions import activation, softmax
from golden_formulas.images import filled, shape
from golden_formulas.lists import dot, each, flat, numbers


def embedding_forward(t, attrs):
    return {"y": each(lambda token: t["E"][token], t["tokens"])}


def embedding_backward(t, attrs):
    dE = filled(shape(t["E"]), 0 * t["E"][0][0])
    for token, dy in zip(numbers(t["tokens"]), flat(t["dy"]), strict=True):
        dE[token] = [total + g for total, g in zip(dE[token], dy, strict=True)]
    return {"dE": dE}


def rotated(x, t, attrs, sign):
    """Each head of each position; `sign` is that of the angle."""

    def head(x, cos, sin):
        P = len(cos)
        first = [x[i] * cos[i] - sign * x[i + P] * sin[i] for i in range(P)]
        second = [x[i + P] * cos[i] + sign * x[i] * sin[i] for i in range(P)]
        return first + second + x[2 * P :]

    def table(name, i, p):
        return t[name][i][p] if attrs["tables"] == "own" else t[name][p]

    return [
        [
            [head(x[i][p][h], table("cos", i, p), table("sin", i, p)) for h in range(len(x[i][p]))]
            for p in range(len(x[i]))
        ]
        for i in range(len(x))
    ]


def rotary_forward(t, attrs):
    return {"y": rotated(t["x"], t, attrs, 1)}


def rotary_backward(t, attrs):
    return {"dx": rotated(t["dy"], t, attrs, -1)}


# --- attention --------------------------------------------------------------------------------------------------------


def weights(t, attrs):
    """For each (sequence, head, query, its key head) the keys that it sees, and their weights."""
    (n, T, H, _), (_, S, G, _) = shape(t["q"]), shape(t["k"])
    scale = flint.arb(attrs["scale"])
    for i in range(n):
        for h in range(H):
            for p in range(T):
                own, g = S - T + p, h // (H // G)
                seen = [s for s in range(own + 1) if own - s < attrs["window"] and t["mask"][i][s]]
                scores = [scale * dot(t["q"][i][p][h], t["k"][i][s][g]) for s in seen]
                yield i, h, p, g, seen, softmax(scores) if len(seen) > 1 else [flint.arb(1)] * len(seen)


def causal_attention_forward(t, attrs):
    (n, T, H, D), S = shape(t["q"]), len(t["k"][0])
    p, y = filled((n, H, T, S), flint.arb(0)), filled((n, T, H, D), flint.arb(0))
    for i, h, at, g, seen, weight in weights(t, attrs):
        for s, w in zip(seen, weight, strict=True):
            p[i][h][at][s] = w
        for d in range(D):
            y[i][at][h][d] = sum((w * t["v"][i][s][g][d] for s, w in zip(seen, weight, strict=True)), flint.arb(0))
    return {"p": p, "y": y}


def causal_attention_backward(t, attrs):
    scale, D = flint.arb(attrs["scale"]), len(t["q"][0][0][0])
    dq, dk, dv = (filled(shape(t[name]), flint.arb(0)) for name in "qkv")
    for i, h, at, g, seen, weight in weights(t, attrs):
        q, dy, count = t["q"][i][at][h], t["dy"][i][at][h], range(len(seen))
        dp = [dot(dy, t["v"][i][s][g]) for s in seen]
        for a in count:
            dz = sum((dp[b] * weight[b] * ((a == b) - weight[a]) for b in count), flint.arb(0))
            for d in range(D):
                dq[i][at][h][d] += scale * dz * t["k"][i][seen[a]][g][d]
                dk[i][seen[a]][g][d] += scale * dz * q[d]
                dv[i][seen[a]][g][d] += weight[a] * dy[d]
    return {"dq": dq, "dk": dk, "dv": dv}


# --- gated activations ------------------------------------------------------------------------------------------------


def gated(name_of):
    def forward(t, attrs):
        return {"y": each(lambda z, up: activation(name_of(attrs), z)[0] * up, t["gate"], t["up"])}

    def backward(t, attrs):
        def both(z, up, dy):
            value, slope = activation(name_of(attrs), z)
            return slope * up * dy, value * dy

        return {
            "dgate": each(lambda *parts: both(*parts)[0], t["gate"], t["up"], t["dy"]),
            "dup": each(lambda *parts: both(*parts)[1], t["gate"], t["up"], t["dy"]),
        }

    return forward, backward


swiglu_forward, swiglu_backward = gated(lambda attrs: "silu")
geglu_forward, geglu_backward = gated(lambda attrs: "gelu_tanh" if attrs["approximate"] == "tanh" else "gelu")

STEMS = ("embedding", "rotary", "causal_attention", "swiglu", "geglu")
OPERATIONS = {f"{stem}_{way}": globals()[f"{stem}_{way}"] for stem in STEMS for way in ("forward", "backward")}
RATIONAL = tuple(op for op in OPERATIONS if op.startswith(STEMS[:2]))
