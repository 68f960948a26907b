"""What decoders have: lookups, rotations and attention number by number; the softmax by its whole Jacobian matrix.

Whole decoders are written forward only: every number knows what it was made of and its derivatives by these.
"""

import math

import flint

from golden_formulas.functions import activation, softmax
from golden_formulas.images import filled, shape
from golden_formulas.lists import dot, each, flat, numbers
from golden_formulas.objectives import weigh


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

# --- whole decoders ---------------------------------------------------------------------------------------------------


MADE = []  # every Number, in order


class Number:
    """A ball that remembers the numbers that it follows from."""

    def __init__(self, value, parents=()):
        self.value, self.parents, self.grad = flint.arb(value), parents, flint.arb(0)
        MADE.append(self)

    def __add__(self, other):
        other = lift(other)
        return Number(self.value + other.value, ((self, 1), (other, 1)))

    def __mul__(self, other):
        other = lift(other)
        return Number(self.value * other.value, ((self, other.value), (other, self.value)))

    __radd__, __rmul__ = __add__, __mul__

    def __sub__(self, other):
        return self + -1 * lift(other)

    def of(self, value, slope):
        """A function of it."""
        return Number(value, ((self, slope),))

    def exp(self):
        e = self.value.exp()
        return self.of(e, e)

    def log(self):
        return self.of(self.value.log(), 1 / self.value)

    def inverse(self):
        return self.of(1 / self.value, -1 / self.value**2)

    def rsqrt(self):
        root = 1 / self.value.sqrt()
        return self.of(root, -(root**3) / 2)


def lift(x):
    return x if isinstance(x, Number) else Number(x)


def propagate():
    """Give every number its gradient, from those that have one."""
    for number in reversed(MADE):
        for parent, slope in number.parents:
            parent.grad += slope * number.grad


FAMILIES = {
    "gpt_neox": ("layer_norm", "gelu"),
    "qwen2": ("rms_norm", "silu"),
    "llama": ("rms_norm", "silu"),
    "gemma": ("rms_norm", "gelu_tanh"),
    "gpt_neo": ("layer_norm", "gelu_tanh"),
}


def linear(P, key, x, rank):
    """A linear layer, nested if it has factors, with a bias if it has one."""
    if f"{key}.A" in P:
        h = [dot(row, x) for row in P[f"{key}.A"][:rank]]
        y = [dot(row[:rank], h) for row in P[f"{key}.B"]]
    else:
        y = [dot(row, x) for row in P[f"{key}.W"]]
    return [v + b for v, b in zip(y, P[f"{key}.b"], strict=True)] if f"{key}.b" in P else y


def normed(P, key, x, attrs):
    kind, d = FAMILIES[attrs["family"]][0], len(x)
    if kind == "layer_norm":
        mean = sum(x[1:], x[0]) * (flint.arb(1) / d)
        x = [v - mean for v in x]
    scale = (dot(x, x) * (flint.arb(1) / d) + flint.arb(attrs["eps"])).rsqrt()
    b = P.get(f"{key}.b", [flint.arb(0)] * d)
    w = [1 + v for v in P[f"{key}.w"]] if attrs["family"] == "gemma" else P[f"{key}.w"]
    return [v * scale * w + c for v, w, c in zip(x, w, b, strict=True)]


def split(x, heads, place, attrs, turns):
    """Heads of a vector, each rotated by its place."""
    D, P = len(x) // heads, attrs["rotary"] // 2 * turns * (attrs["family"] != "gpt_neo")
    out = []
    for h in range(heads):
        own = list(x[h * D : (h + 1) * D])
        for i in range(P):
            angle = place / flint.arb(attrs["rotary_base"]) ** (flint.arb(i) / P)
            a, b, c, s = own[i], own[i + P], angle.cos(), angle.sin()
            own[i], own[i + P] = a * c - b * s, b * c + a * s
        out.append(own)
    return out


def attended(P, key, xs, mask, attrs, rank):
    """What attention adds at each place of one sequence."""
    H = attrs["heads"]
    D = len(P[f"{key}.q.W"]) // H
    G = len(P[f"{key}.k.W"]) // D
    scale = flint.arb(1) if attrs["family"] == "gpt_neo" else 1 / flint.arb(D).sqrt()
    q, k, v = (
        [split(linear(P, f"{key}.{name}", x, rank), n, place, attrs, name != "v") for place, x in enumerate(xs)]
        for name, n in (("q", H), ("k", G), ("v", G))
    )
    out = []
    for place in range(len(xs)):
        seen, y = [s for s in range(place + 1) if mask[s] and place - s < attrs["window"]], []
        for h in range(H):
            g = h // (H // G)
            e = [(dot(q[place][h], k[s][g]) * scale).exp() for s in seen]
            share = sum(e[1:], e[0]).inverse() if seen else None
            y += [dot([w * share for w in e], [v[s][g][d] for s in seen]) if seen else flint.arb(0) for d in range(D)]
        out.append(linear(P, f"{key}.o", y, rank))
    return out


def mlp(P, key, x, attrs, rank):
    name = FAMILIES[attrs["family"]][1]
    inner = linear(P, f"{key}.{'gate' if f'{key}.gate.A' in P else 'up'}", x, rank)
    inner = [z.of(*activation(name, z.value)) for z in inner]
    if f"{key}.gate.A" in P:
        inner = [a * b for a, b in zip(inner, linear(P, f"{key}.up", x, rank), strict=True)]
    return linear(P, f"{key}.down", inner, rank)


def added(xs, *changes):
    return [[sum(parts[1:], parts[0]) for parts in zip(*each, strict=True)] for each in zip(xs, *changes, strict=True)]


def embedded(P, token, place, attrs):
    """What the first block reads: by Gemma's definition times sqrt(hidden), in float64; GPT-Neo adds the position's."""
    x = P["embedding.E"][token]
    if attrs["family"] == "gemma":
        x = [math.sqrt(len(x)) * v for v in x]
    if attrs["family"] == "gpt_neo":
        x = [v + p for v, p in zip(x, P["positions.E"][place], strict=True)]
    return x


def logits_of(P, tokens, mask, attrs, rank):
    """Logits at each place of one sequence."""
    xs = [embedded(P, token, place, attrs) for place, token in enumerate(tokens)]
    for i in range(attrs["blocks"]):
        key = f"blocks.{i}"
        change = attended(P, f"{key}.attention", [normed(P, f"{key}.norm1", x, attrs) for x in xs], mask, attrs, rank)
        read = xs if attrs["family"] == "gpt_neox" else added(xs, change)
        inner = [mlp(P, f"{key}.mlp", normed(P, f"{key}.norm2", x, attrs), attrs, rank) for x in read]
        xs = added(xs, change, inner)
    head = P.get("head.W", P["embedding.E"])
    return [[dot(row, y) for row in head] for y in (normed(P, "norm", x, attrs) for x in xs)]


def mean_loss(logits, targets):
    """-ln p of the label of the next place, where it counts."""
    terms = []
    for zs, labels in zip(logits, targets, strict=True):
        for z, label in zip(zs[:-1], labels[1:], strict=True):
            if label != -100:
                e = [x.exp() for x in z]
                terms.append(sum(e[1:], e[0]).log() - z[label])
    return sum(terms[1:], terms[0]) * (flint.arb(1) / len(terms))


def decoder_loss_and_grads(t, attrs):
    MADE.clear()
    P = {name.removeprefix("param."): each(Number, x) for name, x in t.items() if name.startswith("param.")}
    logits = [
        [logits_of(P, tokens, mask, attrs, r) for tokens, mask in zip(t["tokens"], t["mask"], strict=True)]
        for r in attrs["ranks"]
    ]
    losses = [mean_loss(zs, t["targets"]) for zs in logits]
    values = [loss.value for loss in losses]
    total, w, dlosses, ds = weigh(values, t["param.s"], attrs["ranks"], attrs["variant"], flint.arb(1))
    for loss, dloss in zip(losses, dlosses, strict=True):
        loss.grad += dloss
    propagate()
    grads = {f"grad.{key}": each(lambda number: number.grad, x) for key, x in P.items()} | {"grad.s": ds}
    return {"logits": each(lambda z: z.value, logits), "losses": values, "w": w, "total": total} | grads


STEMS = ("embedding", "rotary", "causal_attention", "swiglu", "geglu")
OPERATIONS = {f"{stem}_{way}": globals()[f"{stem}_{way}"] for stem in STEMS for way in ("forward", "backward")}
OPERATIONS["decoder_loss_and_grads"] = decoder_loss_and_grads
RATIONAL = tuple(op for op in OPERATIONS if op.startswith(STEMS[:2]))
