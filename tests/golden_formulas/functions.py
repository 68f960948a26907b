"""Activations, norms and losses; derivatives of norms and softmax from the whole Jacobian matrix."""

from fractions import Fraction

import flint

from golden_formulas.lists import dot, each, flat, like, numbers, pick, total

CUBIC = Fraction(44715, 1000000)


def activation(name, z):
    """The value and the derivative."""
    if name == "relu":
        return (z, z / z) if z > 0 else (0 * z, 0 * z)
    two, pi = flint.arb(2), flint.arb.pi()
    if name == "silu":
        p = 1 / (1 + (-z).exp())
        return z * p, p + z * (-z).exp() * p * p
    if name == "gelu":
        Phi = (1 + (z / two.sqrt()).erf()) / 2
        return z * Phi, Phi + z * (-z * z / 2).exp() / (2 * pi).sqrt()
    cubic = flint.arb(CUBIC.numerator) / CUBIC.denominator
    c = (2 / pi).sqrt()
    tanh = (c * (z + cubic * z * z * z)).tanh()
    return z * (1 + tanh) / 2, (1 + tanh) / 2 + z * (1 - tanh * tanh) * c * (1 + 3 * cubic * z * z) / 2


def both_ways(name_of):
    """Forward and backward of an elementwise function whose name depends on the attributes."""

    def forward(t, attrs):
        return {"y": pick(each(lambda z: activation(name_of(attrs), z), t["z"]), 0)}

    def backward(t, attrs):
        return {"dz": each(lambda z, dy: activation(name_of(attrs), z)[1] * dy, t["z"], t["dy"])}

    return forward, backward


relu_forward, relu_backward = both_ways(lambda attrs: "relu")
silu_forward, silu_backward = both_ways(lambda attrs: "silu")
gelu_forward, gelu_backward = both_ways(lambda attrs: "gelu_tanh" if attrs["approximate"] == "tanh" else "gelu")


# --- norms ------------------------------------------------------------------------------------------------------------


def normalised(row, eps, centre):
    """x_hat, and its Jacobian matrix."""
    d = len(row)
    mean = total(row, flint.arb(0)) / d if centre else flint.arb(0)
    c = [x - mean for x in row]
    s = 1 / (dot(c, c) / d + flint.arb(eps)).sqrt()
    share = flint.arb(centre) / d
    jacobian = [[s * ((i == k) - share) - s**3 * c[i] * c[k] / d for k in range(d)] for i in range(d)]
    return [x * s for x in c], jacobian


def norm_forward(t, attrs, centre):
    x_hat = [normalised(row, attrs["eps"], centre)[0] for row in flat(t["x"])]
    b = t.get("b", [flint.arb(0)] * len(t["w"]))
    y = [[x * w + c for x, w, c in zip(row, t["w"], b, strict=True)] for row in x_hat]
    return {"x_hat": like(x_hat, t["x"]), "y": like(y, t["x"])}


def norm_backward(t, attrs, centre):
    d, dx, dw, db = len(t["w"]), [], [flint.arb(0)] * len(t["w"]), [flint.arb(0)] * len(t["w"])
    for row, dy in zip(flat(t["x"]), flat(t["dy"]), strict=True):
        x_hat, jacobian = normalised(row, attrs["eps"], centre)
        dx.append([dot([dy[i] * t["w"][i] for i in range(d)], [jacobian[i][k] for i in range(d)]) for k in range(d)])
        dw = [total + g * x for total, g, x in zip(dw, dy, x_hat, strict=True)]
        db = [total + g for total, g in zip(db, dy, strict=True)]
    return {"dx": like(dx, t["x"]), "dw": dw} | ({"db": db} if centre else {})


def layer_norm_forward(t, attrs):
    return norm_forward(t, attrs, 1)


def layer_norm_backward(t, attrs):
    return norm_backward(t, attrs, 1)


def rms_norm_forward(t, attrs):
    return norm_forward(t, attrs, 0)


def rms_norm_backward(t, attrs):
    return norm_backward(t, attrs, 0)


# --- losses -----------------------------------------------------------------------------------------------------------


def softmax(row):
    sum_ = total((z.exp() for z in row), flint.arb(0))
    return [z.exp() / sum_ for z in row]


def soft_targets(t, attrs):
    """Rows of target probabilities, and how many of them count."""
    z, labels = flat(t["z"]), t["targets"]
    smoothing = flint.arb(attrs["label_smoothing"])
    if attrs["targets"] == "soft":
        rows, counts = flat(labels), [True] * len(z)
    else:
        counts = [label != attrs["ignore_index"] for label in numbers(labels)]
        rows = [[flint.arb(c == label) for c in range(len(z[0]))] for label in numbers(labels)]
    rows = [
        [counted * ((1 - smoothing) * p + smoothing / len(row)) for p in row]
        for row, counted in zip(rows, counts, strict=True)
    ]
    return rows, sum(counts) if attrs["reduction"] == "mean" else 1


def softmax_cross_entropy_forward(t, attrs):
    targets, n = soft_targets(t, attrs)
    p = [softmax(row) for row in flat(t["z"])]
    loss = -total(
        (q * x.log() for ps, qs in zip(p, targets, strict=True) for x, q in zip(ps, qs, strict=True)), flint.arb(0)
    )
    return {"p": like(p, t["z"]), "loss": loss / n}


def softmax_cross_entropy_backward(t, attrs):
    targets, n = soft_targets(t, attrs)
    dz = []
    for row, q in zip(flat(t["z"]), targets, strict=True):
        p = softmax(row)
        dz.append(
            [
                t["dloss"] / n * total((q[k] * (p[c] - (c == k)) for k in range(len(p))), flint.arb(0))
                for c in range(len(p))
            ]
        )
    return {"dz": like(dz, t["z"])}


def mean_squared_error_forward(t, attrs):
    squares = numbers(each(lambda y, target: (y - target) ** 2, t["y"], t["targets"]))
    return {"loss": sum(squares) / (len(squares) if attrs["reduction"] == "mean" else 1)}


def mean_squared_error_backward(t, attrs):
    n = len(numbers(t["y"])) if attrs["reduction"] == "mean" else 1
    return {"dy": each(lambda y, target: 2 * (y - target) * t["dloss"] / n, t["y"], t["targets"])}


def softened(t, attrs):
    """Student's and teacher's probabilities, T and what the sum is divided by."""
    T = flint.arb(attrs["temperature"])
    p, q = ([softmax([z / T for z in row]) for row in flat(t[name])] for name in ("z", "teacher_z"))
    return p, q, T, len(p) if attrs["reduction"] == "mean" else 1


def kl_distillation_forward(t, attrs):
    p, q, T, n = softened(t, attrs)
    terms = (b * (b / a).log() for ps, qs in zip(p, q, strict=True) for a, b in zip(ps, qs, strict=True))
    return {"p": like(p, t["z"]), "q": like(q, t["z"]), "loss": T * T * total(terms, flint.arb(0)) / n}


def kl_distillation_backward(t, attrs):
    p, q, T, n = softened(t, attrs)
    scale, classes = t["dloss"] * T * T / n, range(len(p[0]))
    dz = [
        [scale * dot(b, [(a[c] - (c == k)) / T for k in classes]) for c in classes] for a, b in zip(p, q, strict=True)
    ]
    dteacher = [
        [
            scale * dot([(b[k] / a[k]).log() + 1 for k in classes], [b[k] * ((c == k) - b[c]) / T for k in classes])
            for c in classes
        ]
        for a, b in zip(p, q, strict=True)
    ]
    return {"dz": like(dz, t["z"]), "dteacher_z": like(dteacher, t["z"])}


STEMS = (
    "relu", "gelu", "silu", "layer_norm", "rms_norm",
    "softmax_cross_entropy", "mean_squared_error", "kl_distillation",
)  # fmt: skip
OPERATIONS = {f"{stem}_{way}": globals()[f"{stem}_{way}"] for stem in STEMS for way in ("forward", "backward")}
