"""The operations in JAX: only forwards are written, `jax.vjp` and `jax.grad` do the rest.

    nsn-ref golden check golden/ports/jax_port.py

bfloat16 and float16 are formats of tensors only: arithmetic is in float32, and results are rounded once.
"""

import functools
import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)  # without it, float64 is silently float32
jax.config.update("jax_default_matmul_precision", "highest")  # without it, float32 is TF32 on a GPU

ACTIVATIONS = {
    "relu": jax.nn.relu,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True),
    "silu": jax.nn.silu,
}


def run(op, inputs, attrs):
    """Outputs of one operation; an operation that is not here is not covered."""
    if op not in OPERATIONS:
        raise NotImplementedError(op)
    labels = {name: x for name, x in inputs.items() if x.dtype.kind == "i"}
    floats = {name: x for name, x in inputs.items() if name not in labels}

    @jax.jit
    def compute(t):
        wide = {name: x.astype(jnp.promote_types(x.dtype, "float32")) for name, x in t.items()}
        outputs = OPERATIONS[op](wide | labels, attrs | ({"store": store} if op in NETS else {}))
        return {name: x.astype(stored_as(name, floats)) for name, x in outputs.items()}

    def store(name, x):
        """A number as it is returned, so that the next stage gets the same."""
        return x.astype(stored_as(name, floats)).astype(x.dtype)

    return {name: np.asarray(x) for name, x in compute(floats).items()}


def open(attrs):
    """A session: nothing is kept from call to call."""
    return SimpleNamespace(call=run)


def stored_as(name, inputs):
    """The dtype of an output; where inputs have two: weights, sums and the optimiser's tensors have the longer one."""
    if name.startswith("d") and name[1:] in inputs:
        return inputs[name[1:]].dtype
    dtypes = sorted((x.dtype for x in inputs.values()), key=lambda dtype: dtype.itemsize)
    return dtypes[-1 if re.match(r"(grad|param|m|v)\.|(losses|w|total)$", name) else 0]


# --- layers -----------------------------------------------------------------------------------------------------------


def dense(x, W, b):
    """Y = W x + b."""
    return x @ W.T + b


def nested_linear(x, A, B, b, *, rank):
    """Def. 1 of arXiv:2509.17874v1: B_r (A_r x) + b."""
    return x @ A[:rank].T @ B[:, :rank].T + b


def multirank_linear(x, A, B, b, *, ranks):
    """The layer at each rank, stacked."""
    return jnp.stack([nested_linear(x, A, B, b, rank=r) for r in ranks])


def conv2d(x, W, b, *, stride, padding):
    """A convolution that does not flip its kernels."""
    return jax.lax.conv_general_dilated(x, W, stride, [(p, p) for p in padding]) + b[:, None, None]


def nested_conv2d(x, A, B, b, *, rank, stride, padding):
    """A convolution with r kernels, then a nested mix of its channels."""
    h = jax.lax.conv_general_dilated(x, A[:rank], stride, [(p, p) for p in padding])
    return jnp.einsum("nrhw,or->nohw", h, B[:, :rank]) + b[:, None, None]


def average_pool2d(x, *, size):
    """Means over windows that tile the image."""
    n, c, H, W = x.shape
    return x.reshape(n, c, H // size[0], size[0], W // size[1], size[1]).mean(axis=(3, 5))


def nested_embedding(E, B, *, tokens, rank):
    """Rows of a table whose columns are components."""
    return E[tokens, :rank] @ B[:, :rank].T


def layer_norm(x, w, b, *, eps):
    """Vectors less their mean, by their standard deviation."""
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred**2).mean(axis=-1, keepdims=True) + eps) * w + b


def rms_norm(x, w, *, eps):
    """Vectors by their root mean square."""
    return x * jax.lax.rsqrt((x**2).mean(axis=-1, keepdims=True) + eps) * w


# --- activations and losses -------------------------------------------------------------------------------------------


def relu(z):
    """max(z, 0)."""
    return jax.nn.relu(z)


def gelu(z, *, approximate):
    """The erf form, or the tanh form."""
    return jax.nn.gelu(z, approximate=approximate == "tanh")


def silu(z):
    """The swish."""
    return jax.nn.silu(z)


def softmax_cross_entropy(z, *, labels, targets, reduction, ignore_index, label_smoothing):
    """-sum t ln softmax(z), for labels (integers) or target probabilities."""
    C, counts = z.shape[-1], np.ones(z.shape[:-1], bool)
    if targets == "labels":
        labels, counts = jax.nn.one_hot(labels, C, dtype=z.dtype), labels != ignore_index
    t = (1 - label_smoothing) * labels + label_smoothing / C
    losses = jnp.where(counts, -(t * jax.nn.log_softmax(z)).sum(axis=-1), 0)
    return losses.sum() / (counts.sum() if reduction == "mean" else 1)


def mean_squared_error(y, *, targets, reduction):
    """The sum of squares, or its mean over all elements."""
    squares = (y - targets) ** 2
    return squares.mean() if reduction == "mean" else squares.sum()


def kl_distillation(z, teacher_z, *, temperature, reduction):
    """The divergence of softened probabilities, times T^2."""
    log_p, log_q = jax.nn.log_softmax(z / temperature), jax.nn.log_softmax(teacher_z / temperature)
    n = z.size // z.shape[-1] if reduction == "mean" else 1
    return (jnp.exp(log_q) * (log_q - log_p)).sum() * temperature**2 / n


# --- what decoders have -----------------------------------------------------------------------------------------------


def embedding(E, *, tokens):
    """The token's row."""
    return E[tokens]


def rotary(x, *, cos, sin, tables):
    """Coordinates i and i + P of every head, as a complex number times that of the angle."""
    P = cos.shape[-1]
    turned = (x[..., :P] + 1j * x[..., P : 2 * P]) * (cos + 1j * sin)[..., None, :]
    return jnp.concatenate([turned.real, turned.imag, x[..., 2 * P :]], axis=-1)


def causal_attention(q, k, v, *, mask, scale, window):
    """Values weighted by a softmax over the keys that are seen."""
    (_, T, H, _), (_, S, G, _) = q.shape, k.shape
    age = np.arange(S - T, S)[:, None] - np.arange(S)
    seen = ((age >= 0) & (age < window) & (mask == 1)[:, None, :])[:, None]
    k, v = (jnp.repeat(x, H // G, axis=2) for x in (k, v))
    z = jnp.where(seen, jnp.einsum("nthd,nshd->nhts", q, k) * scale, jnp.finfo(q.dtype).min)
    p = jnp.where(seen, jax.nn.softmax(z), 0)  # of a query that sees nothing too
    return jnp.einsum("nhts,nshd->nthd", p, v)


def swiglu(gate, up):
    """The gate by SiLU."""
    return jax.nn.silu(gate) * up


def geglu(gate, up, *, approximate):
    """The gate by GELU."""
    return gelu(gate, approximate=approximate) * up


# --- over the ranks ---------------------------------------------------------------------------------------------------


def objective(losses, s, *, ranks, variant):
    """Eq. 3 of arXiv:2509.17874v1, and its variants."""
    s = s[np.array(ranks) - 1]
    weight = jnp.exp(-s) / 2 if variant == "bounded" else jnp.exp(-s)
    penalty = {"uncertainty": s, "classification": s / 2, "bounded": jax.nn.softplus(s)}[variant]
    return (weight * losses + penalty).sum()


def weighted_sum(losses, weights, *, ranks):
    """One weight for each rank."""
    return (weights[np.array(ranks) - 1] * losses).sum()


def by_rank(values, ranks, R):
    """The last value for each rank, zero where there is none."""
    last = {r: k for k, r in enumerate(ranks)}
    return jnp.zeros(R, values.dtype).at[np.array(list(last)) - 1].set(values[np.array(list(last.values()))])


def analytic_weights(t, attrs):
    """Inverse losses."""
    return {"weights": by_rank(1 / t["losses"], attrs["ranks"], attrs["R"])}


def softmax_weights(t, attrs):
    """Softmax of inverse losses."""
    w = jax.nn.softmax(1 / (t["losses"] * attrs["temperature"]))
    return {"weights": by_rank(w, attrs["ranks"], attrs["R"])}


def gradnorm_targets(t, attrs):
    """The mean gradient norm, times a power of each loss's relative training rate."""
    rates = t["losses"] / t["first_losses"]
    return {"targets": (t["weights"] * t["norms"]).mean() * (rates / rates.mean()) ** attrs["alpha"]}


def gradnorm(weights, *, norms, targets):
    """Distance of the weighted norms from their targets."""
    difference = weights * norms - targets
    return (jnp.sign(difference) * difference).sum()  # the derivative of jnp.abs at 0 is 1 in JAX


def renormalised(t, attrs):
    """Weights whose sum is their number."""
    return {"scaled": t["weights"] * (t["weights"].size / t["weights"].sum())}


def hard_orthogonality(A):
    """Squares of A A^T - I."""
    return ((A @ A.T - jnp.eye(len(A), dtype=A.dtype)) ** 2).sum()


def residual_orthogonality(A, *, rank, anchor):
    """Squares of the overlaps of the components that are used with those up to the anchor."""
    return ((A[:rank] @ A[rank:anchor].T) ** 2).sum()


def distance(of_anchor, of_variant, *, stop_anchor):
    """Squared distance, over the number of rows."""
    of_anchor = jax.lax.stop_gradient(of_anchor) if stop_anchor else of_anchor
    return ((of_anchor - of_variant) ** 2).sum() / (of_anchor.size // of_anchor.shape[-1])


# --- optimisers -------------------------------------------------------------------------------------------------------


def adamw(p, g, m, v, decay, attrs):
    """The parameter and its moments after one step."""
    t, lr, beta1, beta2 = (attrs[name] for name in ("t", "lr", "beta1", "beta2"))
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    direction = m / (1 - beta1**t) / (jnp.sqrt(v / (1 - beta2**t)) + attrs["eps"])
    return p - lr * decay * p - lr * direction, m, v


def adamw_step(t, attrs):
    """One step of AdamW."""
    p, m, v = adamw(t["p"], t["g"], t["m"], t["v"], attrs["weight_decay"], attrs)
    return {"p": p, "m": m, "v": v}


def sgd_step(t, attrs):
    """One step of gradient descent with momentum."""
    m = attrs["momentum"] * t["m"] + (t["g"] + attrs["weight_decay"] * t["p"])
    return {"p": t["p"] - attrs["lr"] * m, "m": m}


# --- networks ---------------------------------------------------------------------------------------------------------


def layer(params, i, x, rank):
    """A linear layer, nested or dense."""
    if f"layers.{i}.W" in params:
        return dense(x, params[f"layers.{i}.W"], params[f"layers.{i}.b"])
    return nested_linear(x, *(params[f"layers.{i}.{name}"] for name in "ABb"), rank=rank)


def depth(params):
    """How many layers there are."""
    return sum(key.endswith(".b") for key in params)


def mlp(params, x, rank, activation):
    """Logits at one rank."""
    for i in range(depth(params) - 1):
        x = ACTIVATIONS[activation](layer(params, i, x, rank))
    return layer(params, depth(params) - 1, x, rank)


def convnet(params, x, rank, activation):
    """Convolutions that keep the image's size, each with an activation and a pool, the last one global; then a head."""
    last = depth(params) - 1
    for i in range(last):
        A, B, b = (params[f"layers.{i}.{name}"] for name in "ABb")
        z = nested_conv2d(x, A, B, b, rank=rank, stride=(1, 1), padding=[k // 2 for k in A.shape[2:]])
        a = ACTIVATIONS[activation](z)
        x = average_pool2d(a, size=(2, 2) if i < last - 1 else a.shape[2:])
    return layer(params, last, x[:, :, 0, 0], rank)


def parameters(t):
    """The parameters among the tensors."""
    return {name.removeprefix("param."): p for name, p in t.items() if name.startswith("param.")}


def mlp_forward(t, attrs):
    """Logits."""
    return {"logits": mlp(parameters(t), t["x"], attrs["rank"], attrs["activation"])}


def loss_and_grads(net, t, attrs):
    """Losses at every rank, the objective, and its gradients."""

    def total(params):
        each = [net(params, t["x"], rank, attrs["activation"]) for rank in attrs["ranks"]]
        logits = attrs["store"]("logits", jnp.stack(each))
        log_p = jax.nn.log_softmax(logits)[:, np.arange(len(t["targets"])), t["targets"]]
        losses = attrs["store"]("losses", -log_p.mean(axis=1))
        value = objective(losses, params["s"], ranks=attrs["ranks"], variant=attrs["variant"])
        return value, {"logits": logits, "losses": losses, "total": value}

    grads, outputs = jax.grad(total, has_aux=True)(parameters(t))
    return outputs | {f"grad.{key}": g for key, g in grads.items()}


def step(net, t, attrs):
    """The same, then AdamW."""
    outputs = loss_and_grads(net, t, attrs)
    for key, p in parameters(t).items():
        decay = 0.0 if key == "s" else attrs["weight_decay"]
        g = attrs["store"](f"grad.{key}", outputs[f"grad.{key}"])
        new = adamw(p, g, t[f"m.{key}"], t[f"v.{key}"], decay, attrs)
        outputs |= {f"{name}.{key}": x for name, x in zip(("param", "m", "v"), new, strict=True)}
    return outputs


MLP_ACTIVATIONS = {  # of a decoder, by family
    "gpt_neox": "gelu", "qwen2": "silu", "llama": "silu", "gemma": "gelu_tanh", "gpt_neo": "gelu_tanh",
}  # fmt: skip


def decoder(params, t, rank, attrs):
    """Logits of a decoder at one rank. Which norms, gates and tables it has, its parameters tell."""
    (n, T), family = t["tokens"].shape, attrs["family"]
    is_parallel, P = family == "gpt_neox", 0 if family == "gpt_neo" else attrs["rotary"] // 2
    angle = np.arange(T)[:, None] * attrs["rotary_base"] ** (-np.arange(P) / P)
    tables = {"cos": np.cos(angle).astype(params["s"].dtype), "sin": np.sin(angle).astype(params["s"].dtype)}

    def linear(key, x):
        b = params.get(f"{key}.b", 0)
        if f"{key}.W" in params:
            return dense(x, params[f"{key}.W"], b)
        return nested_linear(x, params[f"{key}.A"], params[f"{key}.B"], b, rank=rank)

    def normed(key, x):
        w = params[f"{key}.w"]
        if f"{key}.b" in params:
            return layer_norm(x, w, params[f"{key}.b"], eps=attrs["eps"])
        return rms_norm(x, 1 + w if family == "gemma" else w, eps=attrs["eps"])

    def attention(key, x):
        D = len(params[f"{key}.q.W"]) // attrs["heads"]
        q, k, v = (linear(f"{key}.{name}", x).reshape(n, T, -1, D) for name in "qkv")
        q, k = (rotary(heads, **tables, tables=None) if P else heads for heads in (q, k))
        scale = 1.0 if family == "gpt_neo" else D**-0.5
        o = causal_attention(q, k, v, mask=t["mask"], scale=scale, window=attrs["window"])
        return linear(f"{key}.o", o.reshape(n, T, -1))

    def mlp(key, x):
        act, up = ACTIVATIONS[MLP_ACTIVATIONS[family]], linear(f"{key}.up", x)
        inner = act(linear(f"{key}.gate", x)) * up if f"{key}.gate.A" in params else act(up)
        return linear(f"{key}.down", inner)

    x = params["embedding.E"][t["tokens"]]
    if family == "gemma":
        x = x * x.shape[-1] ** 0.5
    if "positions.E" in params:
        x = x + params["positions.E"][:T]
    for key in (f"blocks.{i}" for i in range(attrs["blocks"])):
        change = attention(f"{key}.attention", normed(f"{key}.norm1", x))
        read = x if is_parallel else x + change
        x = x + change + mlp(f"{key}.mlp", normed(f"{key}.norm2", read))
    return normed("norm", x) @ params.get("head.W", params["embedding.E"]).T


def decoder_loss_and_grads(t, attrs):
    """Logits predict the label of the next place; those of -100 do not count."""
    labels, counts = t["targets"][:, 1:], t["targets"][:, 1:] != -100

    def total(params):
        logits = jnp.stack([decoder(params, t, rank, attrs) for rank in attrs["ranks"]])
        log_p = jax.nn.log_softmax(logits[:, :, :-1])
        chosen = jnp.take_along_axis(log_p, np.where(counts, labels, 0)[None, ..., None], axis=-1)[..., 0]
        losses = -jnp.where(counts, chosen, 0).sum(axis=(1, 2)) / counts.sum()
        value = objective(losses, params["s"], ranks=attrs["ranks"], variant=attrs["variant"])
        return value, {"logits": logits, "losses": losses, "total": value}

    grads, outputs = jax.grad(total, has_aux=True)(parameters(t))
    return outputs | {f"grad.{key}": g for key, g in grads.items()}


# --- operations -------------------------------------------------------------------------------------------------------


def both_ways(stem, function, arguments, output, constants=()):
    """The forward operation of a function, and the backward one, for the gradients d<name> of sum(cotangent * output).

    Constants are tensors without gradient; a pair is a tensor's name and the argument's.
    """

    def prepared(t, attrs):
        named = {name if isinstance(name, str) else name[1]: t[name if isinstance(name, str) else name[0]]
                 for name in constants}  # fmt: skip
        return functools.partial(function, **attrs, **named), [t[name] for name in arguments]

    def forward(t, attrs):
        f, values = prepared(t, attrs)
        return {output: f(*values)}

    def backward(t, attrs):
        f, values = prepared(t, attrs)
        _, pullback = jax.vjp(f, *values)
        return {f"d{name}": grad for name, grad in zip(arguments, pullback(t[f"d{output}"]), strict=True)}

    return {f"{stem}_forward": forward, f"{stem}_backward": backward}


LAYER = ("x", "A", "B", "b")
NETS = ("mlp_forward", "mlp_loss_and_grads", "mlp_step", "convnet_step")
OPERATIONS = {
    **both_ways("dense", dense, ("x", "W", "b"), "y"),
    **both_ways("nested_linear", nested_linear, LAYER, "y"),
    **both_ways("multirank_linear", multirank_linear, LAYER, "ys"),
    **both_ways("conv2d", conv2d, ("x", "W", "b"), "y"),
    **both_ways("nested_conv2d", nested_conv2d, LAYER, "y"),
    **both_ways("average_pool2d", average_pool2d, ("x",), "y"),
    **both_ways("nested_embedding", nested_embedding, ("E", "B"), "y", ("tokens",)),
    **both_ways("embedding", embedding, ("E",), "y", ("tokens",)),
    **both_ways("rotary", rotary, ("x",), "y", ("cos", "sin")),
    **both_ways("causal_attention", causal_attention, ("q", "k", "v"), "y", ("mask",)),
    **both_ways("swiglu", swiglu, ("gate", "up"), "y"),
    **both_ways("geglu", geglu, ("gate", "up"), "y"),
    **both_ways("layer_norm", layer_norm, ("x", "w", "b"), "y"),
    **both_ways("rms_norm", rms_norm, ("x", "w"), "y"),
    **both_ways("relu", relu, ("z",), "y"),
    **both_ways("gelu", gelu, ("z",), "y"),
    **both_ways("silu", silu, ("z",), "y"),
    **both_ways("softmax_cross_entropy", softmax_cross_entropy, ("z",), "loss", (("targets", "labels"),)),
    **both_ways("mean_squared_error", mean_squared_error, ("y",), "loss", ("targets",)),
    **both_ways("kl_distillation", kl_distillation, ("z", "teacher_z"), "loss"),
    **both_ways("objective", objective, ("losses", "s"), "total"),
    **both_ways("weighted_sum", weighted_sum, ("losses", "weights"), "total"),
    **both_ways("gradnorm", gradnorm, ("weights",), "distance", ("norms", "targets")),
    **both_ways("hard_orthogonality", hard_orthogonality, ("A",), "penalty"),
    **both_ways("residual_orthogonality", residual_orthogonality, ("A",), "penalty"),
    **both_ways("logits_regularisation", distance, ("z_anchor", "z_variant"), "penalty"),
    **both_ways("hidden_regularisation", distance, ("h_anchor", "h_variant"), "penalty"),
    "analytic_weights": analytic_weights,
    "softmax_weights": softmax_weights,
    "gradnorm_targets": gradnorm_targets,
    "renormalised": renormalised,
    "adamw_step": adamw_step,
    "sgd_step": sgd_step,
    "mlp_forward": mlp_forward,
    "mlp_loss_and_grads": functools.partial(loss_and_grads, mlp),
    "mlp_step": functools.partial(step, mlp),
    "convnet_step": functools.partial(step, convnet),
    "decoder_loss_and_grads": decoder_loss_and_grads,
}
