"""Objectives, weights of losses, GradNorm, regularisers and optimiser steps."""

import flint

from golden_formulas.lists import dot, each, flat, numbers, pick, total


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
    return {"w": w, "total": total}


def objective_backward(t, attrs):
    _, _, dlosses, ds = weigh(t["losses"], t["s"], attrs["ranks"], attrs["variant"], t["dtotal"])
    return {"dlosses": dlosses, "ds": ds}


def weighted_sum_forward(t, attrs):
    return {"total": sum(t["weights"][r - 1] * loss for r, loss in zip(attrs["ranks"], t["losses"], strict=True))}


def weighted_sum_backward(t, attrs):
    dweights = [0 * w for w in t["weights"]]
    for r, loss in zip(attrs["ranks"], t["losses"], strict=True):
        dweights[r - 1] += loss * t["dtotal"]
    return {"dlosses": [t["weights"][r - 1] * t["dtotal"] for r in attrs["ranks"]], "dweights": dweights}


def placed(values, attrs):
    by_rank = dict(zip(attrs["ranks"], values, strict=True))
    return {"weights": [by_rank.get(r, 0 * values[0]) for r in range(1, attrs["R"] + 1)]}


def analytic_weights(t, attrs):
    return placed([1 / loss for loss in t["losses"]], attrs)


def softmax_weights(t, attrs):
    e = [(1 / (loss * flint.arb(attrs["temperature"]))).exp() for loss in t["losses"]]
    return placed([x / total(e, flint.arb(0)) for x in e], attrs)


# --- GradNorm ---------------------------------------------------------------------------------------------------------


def gradnorm_targets(t, attrs):
    K = len(t["losses"])
    rates = [now / first for now, first in zip(t["losses"], t["first_losses"], strict=True)]
    mean_rate, mean_norm = sum(rates) / K, dot(t["weights"], t["norms"]) / K
    return {"targets": [mean_norm * (rate / mean_rate) ** flint.arb(attrs["alpha"]) for rate in rates]}


def gradnorm_forward(t, attrs):
    return {"distance": sum(abs(w * g - c) for w, g, c in zip(t["weights"], t["norms"], t["targets"], strict=True))}


def gradnorm_backward(t, attrs):
    each_loss = zip(t["weights"], t["norms"], t["targets"], strict=True)
    return {"dweights": [((w * g > c) - (w * g < c)) * g * t["ddistance"] for w, g, c in each_loss]}


def renormalised(t, attrs):
    return {"scaled": [w * len(t["weights"]) / sum(t["weights"]) for w in t["weights"]]}


# --- regularisers -----------------------------------------------------------------------------------------------------


def hard_orthogonality_forward(t, attrs):
    A = t["A"]
    return {"penalty": sum((dot(A[i], A[j]) - (i == j)) ** 2 for i in range(len(A)) for j in range(len(A)))}


def hard_orthogonality_backward(t, attrs):
    """Row i stands in (i, j) and in (j, i)."""
    A = t["A"]
    return {
        "dA": [
            [
                4 * t["dpenalty"] * sum((dot(A[i], A[j]) - (i == j)) * A[j][k] for j in range(len(A)))
                for k in range(len(A[0]))
            ]
            for i in range(len(A))
        ]
    }


def residual_orthogonality_forward(t, attrs):
    A, r, anchor = t["A"], attrs["rank"], attrs["anchor"]
    return {"penalty": sum(dot(A[i], A[j]) ** 2 for i in range(r) for j in range(r, anchor))}


def residual_orthogonality_backward(t, attrs):
    A, r, anchor = t["A"], attrs["rank"], attrs["anchor"]
    dA = [[0 * x for x in row] for row in A]
    for i in range(r):
        for j in range(r, anchor):
            overlap = 2 * t["dpenalty"] * dot(A[i], A[j])
            for k in range(len(A[0])):
                dA[i][k] += overlap * A[j][k]
                dA[j][k] += overlap * A[i][k]
    return {"dA": dA}


def distance(prefix):
    """The squared distance of two tensors over the number of rows, and its gradients."""
    names = f"{prefix}_anchor", f"{prefix}_variant"

    def forward(t, attrs):
        squares = numbers(each(lambda a, b: (a - b) ** 2, *(t[name] for name in names)))
        return {"penalty": sum(squares) / len(flat(t[names[0]]))}

    def backward(t, attrs):
        n = len(flat(t[names[0]]))
        grad = each(lambda a, b: 2 * (a - b) * t["dpenalty"] / n, *(t[name] for name in names))
        anchor = each(lambda g: 0 * g, grad) if attrs["stop_anchor"] else grad
        return {f"d{names[0]}": anchor, f"d{names[1]}": each(lambda g: -g, grad)}

    return forward, backward


logits_regularisation_forward, logits_regularisation_backward = distance("z")
hidden_regularisation_forward, hidden_regularisation_backward = distance("h")


# --- optimisers -------------------------------------------------------------------------------------------------------


def adamw(p, g, m, v, decay, attrs):
    lr, beta1, beta2, eps, decay = map(flint.arb, (*(attrs[k] for k in ("lr", "beta1", "beta2", "eps")), decay))
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat, v_hat = m / (1 - beta1 ** attrs["t"]), v / (1 - beta2 ** attrs["t"])
    return p * (1 - lr * decay) - lr * m_hat / (v_hat.sqrt() + eps), m, v


def adamw_step(t, attrs):
    state = t["p"], t["g"], t["m"], t["v"]
    new = each(lambda *xs: adamw(*xs, attrs["weight_decay"], attrs), *state)
    return {name: pick(new, k) for k, name in enumerate(("p", "m", "v"))}


def sgd_step(t, attrs):
    kind = type(numbers(t["p"])[0])
    lr, momentum, decay = (kind(attrs[name]) for name in ("lr", "momentum", "weight_decay"))
    m = each(lambda p, g, m: momentum * m + g + decay * p, t["p"], t["g"], t["m"])
    return {"m": m, "p": each(lambda p, m: p - lr * m, t["p"], m)}


REGULARISERS = tuple(
    f"{stem}_{way}"
    for stem in ("hard_orthogonality", "residual_orthogonality", "logits_regularisation", "hidden_regularisation")
    for way in ("forward", "backward")
)
OPERATIONS = {name: globals()[name] for name in REGULARISERS} | {
    function.__name__: function
    for function in (
        objective_forward,
        objective_backward,
        weighted_sum_forward,
        weighted_sum_backward,
        analytic_weights,
        softmax_weights,
        gradnorm_targets,
        gradnorm_forward,
        gradnorm_backward,
        renormalised,
        adamw_step,
        sgd_step,
    )
}
