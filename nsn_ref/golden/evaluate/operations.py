"""The operations that are not nets."""

import numpy as np

from nsn_ref.golden import schema


def evaluate(engine, op, inputs, attrs):
    """As `nsn_ref.golden.evaluate.evaluate`."""
    if op in _ONE_WAY:
        return _ONE_WAY[op](engine, inputs, attrs)
    stem, _, way = op.rpartition("_")
    forward, backward = (getattr(engine.ops, f"{stem}_{name}") for name in ("forward", "backward"))
    output, saved = _FORWARD[stem](forward, inputs, attrs)
    if way == "forward":
        inner = _INTERMEDIATES[stem](saved) if stem in _INTERMEDIATES else {}
        return inner | {_needed(op): output}
    *_, cotangent = schema.operation(op).inputs
    grads = backward(inputs[cotangent.name][()], saved)
    names = [t.name for t in schema.operation(op).outputs]
    return dict(zip(names, grads if isinstance(grads, tuple) else (grads,), strict=True))


def _needed(op):
    return next(t.name for t in schema.operation(op).outputs if not t.optional)


def _geometry(attrs):
    return {"stride": tuple(attrs["stride"]), "padding": tuple(attrs["padding"])}


def _softmax_cross_entropy(f, t, a):
    ignored = a["ignore_index"] if a["targets"] == "labels" else None
    options = {"reduction": a["reduction"], "ignore_index": ignored, "label_smoothing": a["label_smoothing"]}
    return f(t["z"], t["targets"], **options)


def _distance(prefix):
    return lambda f, t, a: f(t[f"{prefix}_anchor"], t[f"{prefix}_variant"], stop_anchor=a["stop_anchor"])


# stem: how its forward is called
_FORWARD = {
    "dense": lambda f, t, a: f(t["x"], t["W"], t["b"]),
    "nested_linear": lambda f, t, a: f(t["x"], t["A"], t["B"], t["b"], a["rank"]),
    "multirank_linear": lambda f, t, a: f(t["x"], t["A"], t["B"], t["b"], a["ranks"]),
    "conv2d": lambda f, t, a: f(t["x"], t["W"], t["b"], **_geometry(a)),
    "nested_conv2d": lambda f, t, a: f(t["x"], t["A"], t["B"], t["b"], a["rank"], **_geometry(a)),
    "average_pool2d": lambda f, t, a: f(t["x"], tuple(a["size"])),
    "nested_embedding": lambda f, t, a: f(t["tokens"], t["E"], t["B"], a["rank"]),
    "embedding": lambda f, t, a: f(t["tokens"], t["E"]),
    "rotary": lambda f, t, a: f(t["x"], t["cos"], t["sin"]),
    "causal_attention": lambda f, t, a: f(
        t["q"], t["k"], t["v"], t["mask"].astype(bool), scale=a["scale"], window=a["window"]
    ),
    "swiglu": lambda f, t, a: f(t["gate"], t["up"]),
    "geglu": lambda f, t, a: f(t["gate"], t["up"], approximate=a["approximate"]),
    "layer_norm": lambda f, t, a: f(t["x"], t["w"], t["b"], a["eps"]),
    "rms_norm": lambda f, t, a: f(t["x"], t["w"], a["eps"]),
    "relu": lambda f, t, a: f(t["z"]),
    "gelu": lambda f, t, a: f(t["z"], approximate=a["approximate"]),
    "silu": lambda f, t, a: f(t["z"]),
    "softmax_cross_entropy": _softmax_cross_entropy,
    "mean_squared_error": lambda f, t, a: f(t["y"], t["targets"], reduction=a["reduction"]),
    "kl_distillation": lambda f, t, a: f(
        t["z"], t["teacher_z"], temperature=a["temperature"], reduction=a["reduction"]
    ),
    "objective": lambda f, t, a: f(t["losses"], t["s"], a["ranks"], variant=a["variant"]),
    "weighted_sum": lambda f, t, a: f(t["losses"], t["weights"], a["ranks"]),
    "gradnorm": lambda f, t, a: f(t["weights"], t["norms"], t["targets"]),
    "hard_orthogonality": lambda f, t, a: f(t["A"]),
    "residual_orthogonality": lambda f, t, a: f(t["A"], a["rank"], a["anchor"]),
    "logits_regularisation": _distance("z"),
    "hidden_regularisation": _distance("h"),
}

# stem: its intermediates, from the saved context
_INTERMEDIATES = {
    "nested_linear": lambda saved: {"h": saved.h},
    "multirank_linear": lambda saved: {"h": saved.h},
    "nested_conv2d": lambda saved: {"h": np.moveaxis(saved.linear.h, -1, 1)},
    "nested_embedding": lambda saved: {"h": saved.h},
    "causal_attention": lambda saved: {"p": saved.p},
    "layer_norm": lambda saved: {"x_hat": saved.x_hat},
    "rms_norm": lambda saved: {"x_hat": saved.x_hat},
    "softmax_cross_entropy": lambda saved: {"p": saved.p},
    "kl_distillation": lambda saved: {"p": saved.p, "q": saved.q},
    "objective": lambda saved: {"w": saved.w},
}


def _analytic_weights(engine, t, a):
    return {"weights": engine.ops.analytic_weights(t["losses"], a["ranks"], a["R"])}


def _softmax_weights(engine, t, a):
    return {"weights": engine.ops.softmax_weights(t["losses"], a["ranks"], a["R"], temperature=a["temperature"])}


def _gradnorm_targets(engine, t, a):
    arguments = (t[name] for name in ("weights", "norms", "losses", "first_losses"))
    return {"targets": engine.ops.gradnorm_targets(*arguments, alpha=a["alpha"])}


def _renormalised(engine, t, a):
    return {"scaled": engine.ops.renormalised(t["weights"])}


def _adamw_step(engine, t, a):
    hyper = {name: a[name] for name in ("lr", "beta1", "beta2", "eps", "weight_decay")}
    return engine.adamw_step(t["p"], t["g"], t["m"], t["v"], a["t"], **hyper)._asdict()


def _sgd_step(engine, t, a):
    hyper = {name: a[name] for name in ("lr", "momentum", "weight_decay")}
    return engine.sgd_step(t["p"], t["g"], t["m"], **hyper)._asdict()


_ONE_WAY = {
    "analytic_weights": _analytic_weights,
    "softmax_weights": _softmax_weights,
    "gradnorm_targets": _gradnorm_targets,
    "renormalised": _renormalised,
    "adamw_step": _adamw_step,
    "sgd_step": _sgd_step,
}
