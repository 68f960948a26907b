"""The operations in JAX: only forwards are written, `jax.vjp` and `jax.grad` do the rest.

nsn-ref golden check golden/ports/jax_port.py
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)  # without it, float64 is silently float32
jax.config.update("jax_default_matmul_precision", "highest")  # without it, float32 is TF32 on a GPU

ACTIVATIONS = {
    "relu": jax.nn.relu,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True),
}


def run(op, inputs, attrs):
    """Outputs of one operation; an operation that is not here is not covered."""
    if op not in OPERATIONS:
        raise NotImplementedError(op)
    outputs = jax.jit(functools.partial(OPERATIONS[op], attrs=attrs))(inputs)
    return {name: np.asarray(x) for name, x in outputs.items()}


# --- forwards ---------------------------------------------------------------------------------------------------------


def nested_linear(x, A, B, b, *, rank):
    """Def. 1 of arXiv:2509.17874v1: B_r (A_r x) + b."""
    return x @ A[:rank].T @ B[:, :rank].T + b


def multirank_linear(x, A, B, b, *, ranks):
    """The layer at each rank, stacked."""
    return jnp.stack([nested_linear(x, A, B, b, rank=r) for r in ranks])


def objective(losses, s, *, ranks, variant):
    """Eq. 3 of arXiv:2509.17874v1, and its variants."""
    s = s[np.array(ranks) - 1]
    weight = jnp.exp(-s) / 2 if variant == "bounded" else jnp.exp(-s)
    penalty = {"uncertainty": s, "classification": s / 2, "bounded": jax.nn.softplus(s)}[variant]
    return (weight * losses + penalty).sum()


def cross_entropy(z, targets):
    """The mean over the rows of -ln softmax(z)[target]."""
    return -jax.nn.log_softmax(z)[np.arange(len(z)), targets].mean()


def mlp(params, x, rank, activation):
    """Logits at one rank; the head is nested or dense."""
    h = ACTIVATIONS[activation](nested_linear(x, *(params[f"layers.0.{name}"] for name in "ABb"), rank=rank))
    if "layers.1.W" in params:
        return h @ params["layers.1.W"].T + params["layers.1.b"]
    return nested_linear(h, *(params[f"layers.1.{name}"] for name in "ABb"), rank=rank)


# --- training step ----------------------------------------------------------------------------------------------------


def mlp_step(t, attrs):
    """One training step: forward at every rank, objective, backward, AdamW."""
    params = {name.removeprefix("param."): p for name, p in t.items() if name.startswith("param.")}

    def total(params):
        logits = jnp.stack([mlp(params, t["x"], rank, attrs["activation"]) for rank in attrs["ranks"]])
        losses = jnp.stack([cross_entropy(z, t["targets"]) for z in logits])
        value = objective(losses, params["s"], ranks=attrs["ranks"], variant=attrs["variant"])
        return value, {"logits": logits, "losses": losses, "total": value}

    grads, outputs = jax.grad(total, has_aux=True)(params)
    for key, g in grads.items():
        decay = 0.0 if key == "s" else attrs["weight_decay"]
        step = adamw(params[key], g, t[f"m.{key}"], t[f"v.{key}"], decay, attrs)
        outputs |= {f"grad.{key}": g} | {f"{name}.{key}": x for name, x in zip(("param", "m", "v"), step, strict=True)}
    return outputs


def adamw(p, g, m, v, decay, attrs):
    """The parameter and its moments after one step."""
    t, lr, beta1, beta2 = (attrs[name] for name in ("t", "lr", "beta1", "beta2"))
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    direction = m / (1 - beta1**t) / (jnp.sqrt(v / (1 - beta2**t)) + attrs["eps"])
    return p - lr * decay * p - lr * direction, m, v


# --- operations -------------------------------------------------------------------------------------------------------


def forward(function, output, arguments):
    """The forward operation of a function."""
    return lambda t, attrs: {output: function(*(t[name] for name in arguments), **attrs)}


def backward(function, cotangent, arguments):
    """Its backward operation: gradients d<name> of sum(cotangent * output)."""

    def run_backward(t, attrs):
        _, pullback = jax.vjp(functools.partial(function, **attrs), *(t[name] for name in arguments))
        return {f"d{name}": grad for name, grad in zip(arguments, pullback(t[cotangent]), strict=True)}

    return run_backward


LAYER = ("x", "A", "B", "b")
OPERATIONS = {
    "nested_linear_forward": forward(nested_linear, "y", LAYER),
    "nested_linear_backward": backward(nested_linear, "dy", LAYER),
    "multirank_linear_forward": forward(multirank_linear, "ys", LAYER),
    "multirank_linear_backward": backward(multirank_linear, "dys", LAYER),
    "objective_forward": forward(objective, "total", ("losses", "s")),
    "objective_backward": backward(objective, "dtotal", ("losses", "s")),
    "mlp_step": mlp_step,
}
