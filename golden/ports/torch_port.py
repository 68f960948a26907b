"""The operations in PyTorch: only forwards are written, autograd and torch.optim do the rest.

    nsn-ref golden check golden/ports/torch_port.py

A port is `run(op, inputs, attrs)`: NumPy arrays in, a dict of NumPy arrays out. Formats are those of the inputs; where
activations are bfloat16 and weights float32, weights are rounded when they are multiplied, and gradients are float32.
"""

import os

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

DEVICE = os.environ.get("NSN_TORCH_DEVICE", "cpu")  # golden/ports/gpu_check.py sets it to "cuda"
ACTIVATIONS = {
    "relu": F.relu,
    "gelu": lambda z: gelu(z, "none"),
    "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
    "silu": F.silu,
}


def run(op, inputs, attrs):
    """Outputs of one operation; an operation that is not here is not covered."""
    if op not in OPERATIONS:
        raise NotImplementedError(op)
    outputs = OPERATIONS[op]({name: tensor(x) for name, x in inputs.items()}, attrs)
    return {name: array(x) for name, x in outputs.items()}


def open(attrs):
    """A session: this port keeps nothing between calls."""
    return Session()


class Session:
    """Calls on one object."""

    def call(self, op, inputs, attrs):
        """As `run`."""
        return run(op, inputs, attrs)


def tensor(x):
    """A copy: what is computed here never writes into the caller's arrays. NumPy's bfloat16 goes through its bits."""
    if x.dtype.name == "bfloat16":
        return torch.tensor(x.view(np.int16), device=DEVICE).view(torch.bfloat16)
    return torch.tensor(x, device=DEVICE)


def array(x):
    """The reverse."""
    x = x.detach().cpu()
    if x.dtype == torch.bfloat16:
        import ml_dtypes

        return np.asarray(x.contiguous().view(torch.int16)).view(ml_dtypes.bfloat16)
    return np.asarray(x)


# --- layers -----------------------------------------------------------------------------------------------------------


class Operand(torch.autograd.Function):
    """A float32 weight rounded to bfloat16 for a product; its gradient is not rounded."""

    @staticmethod
    def forward(ctx, W):
        """To bfloat16 and back."""
        return W.bfloat16().float()

    @staticmethod
    def backward(ctx, dW):
        """As it is."""
        return dW


def mixed(function, x, W, *others):
    """A product of activations and weights, whose formats may differ; the result has that of the activations."""
    if x.dtype == W.dtype:
        return function(x, W, *others)
    return function(x.float(), Operand.apply(W), *others).to(x.dtype)


def linear(x, W, b=None):
    """W x + b."""
    return mixed(F.linear, x, W, b)


def conv2d(x, W, b=None, stride=1, padding=0):
    """Convolution."""
    if x.dtype == torch.float16:  # PyTorch would sum the gradient of W in float16 on a CPU
        return F.conv2d(x.float(), W.float(), None if b is None else b.float(), stride, padding).to(x.dtype)
    return mixed(F.conv2d, x, W, b, stride, padding)


def nested_linear(x, A, B, b, rank):
    """Def. 1 of arXiv:2509.17874v1: B_r (A_r x) + b; and A_r x."""
    h = linear(x, A[:rank])
    return linear(h, B[:, :rank], b), h


def nested_conv2d(x, A, B, b, rank, stride=1, padding=0):
    """The same on patches: r kernels, then a 1 x 1 convolution."""
    h = conv2d(x, A[:rank], None, stride, padding)
    return conv2d(h, B[:, :rank, None, None], b), h


def multirank_linear(x, A, B, b, ranks):
    """The layer at each rank, stacked."""
    return torch.stack([nested_linear(x, A, B, b, r)[0] for r in ranks])


def gelu(z, approximate):
    """The erf form by erfc: PyTorch's vectorised erf of float32 is up to 10 units off, more than the contract's 8."""
    if approximate == "tanh" or z.element_size() < 4:
        return F.gelu(z, approximate=approximate)
    return z * torch.special.erfc(-z * 0.5**0.5) / 2


def nested_embedding(tokens, E, B, rank):
    """A lookup in the first columns, then B_r."""
    h = F.embedding(tokens, E)[..., :rank]
    return linear(h, B[:, :rank])


# --- what decoders have -----------------------------------------------------------------------------------------------


def rotary(x, cos, sin, tables):
    """x cos + rotate_half(x) sin of the first 2 P coordinates of every head."""
    cos, sin = (torch.cat([table, table], dim=-1).unsqueeze(-2) for table in (cos, sin))
    turned, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    first, second = turned.chunk(2, dim=-1)
    return torch.cat([turned * cos + torch.cat([-second, first], dim=-1) * sin, rest], dim=-1)


def causal_attention(q, k, v, mask, scale, window):
    """PyTorch's attention, heads in front; a query that sees nothing gives 0."""
    T, S = q.shape[1], k.shape[1]
    age = torch.arange(S - T, S, device=q.device)[:, None] - torch.arange(S, device=q.device)
    seen = (age >= 0) & (age < window) & (mask == 1)[:, None, None, :]
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=scale, enable_gqa=True).transpose(1, 2)


# --- losses, weights, penalties ---------------------------------------------------------------------------------------


def cross_entropy(z, targets, reduction, ignore_index, label_smoothing):
    """Rows in front, classes behind."""
    C = z.shape[-1]
    targets = targets.reshape(-1, C) if targets.is_floating_point() else targets.reshape(-1)
    options = {"reduction": reduction, "label_smoothing": label_smoothing}
    if not targets.is_floating_point():
        options["ignore_index"] = ignore_index
    return F.cross_entropy(z.reshape(-1, C), targets, **options)


def kl_distillation(z, teacher_z, temperature, reduction):
    """T^2 KL(teacher || student)."""
    log_p, log_q = (F.log_softmax(logits / temperature, dim=-1) for logits in (z, teacher_z))
    n = z.numel() // z.shape[-1] if reduction == "mean" else 1
    return (log_q.exp() * (log_q - log_p)).sum() * temperature**2 / n


def objective(losses, s, ranks, variant):
    """Eq. 3 of arXiv:2509.17874v1, and its variants."""
    s = s[torch.tensor(ranks) - 1]
    weight = torch.exp(-s) / 2 if variant == "bounded" else torch.exp(-s)
    penalty = {"uncertainty": s, "classification": s / 2, "bounded": F.softplus(s, threshold=100)}[variant]
    return (weight * losses + penalty).sum()


def by_rank(values, ranks, R):
    """Values at their ranks, zero elsewhere; of a rank that is listed twice the last one."""
    out = values.new_zeros(R)
    for value, r in zip(values, ranks, strict=True):
        out[r - 1] = value
    return out


def gradnorm_targets(weights, norms, losses, first_losses, alpha):
    """Mean norm times the relative inverse training rates."""
    rates = losses / first_losses
    return (weights * norms).mean() * (rates / rates.mean()) ** alpha


def hard_orthogonality(A):
    """How far the rows are from orthonormal."""
    return (A @ A.T - torch.eye(len(A), dtype=A.dtype, device=A.device)).square().sum()


def distance(anchor, variant, stop_anchor):
    """Squared distance over the number of rows."""
    anchor = anchor.detach() if stop_anchor else anchor
    return (anchor - variant).square().sum() / (anchor.numel() // anchor.shape[-1])


# --- nets -------------------------------------------------------------------------------------------------------------


def forward_net(params, x, rank, attrs):
    """Logits at one rank, and every stage on the way by name."""
    stages, depth = {}, attrs["depth"]
    convolutional = x.ndim == 4
    for i in range(depth):
        W = [params[f"layers.{i}.{name}"] for name in ("AB" if f"layers.{i}.A" in params else "W") + "b"]
        last = i == depth - 1
        if convolutional and not last:
            z, stages[f"h.{i}"] = nested_conv2d(x, *W, rank, padding=W[0].shape[-1] // 2)
        elif len(W) == 3:
            z, stages[f"h.{i}"] = nested_linear(x, *W, rank)
        else:
            z = linear(x, *W)
        if last:
            return z, stages
        x = ACTIVATIONS[attrs["activation"]](z)
        stages |= {f"z.{i}": z, f"a.{i}": x}
        if convolutional:
            x = F.avg_pool2d(x, 2) if i < depth - 2 else x.mean(dim=(2, 3))


def mlp_forward(t, attrs):
    """Logits and stages at one rank."""
    logits, stages = forward_net(group(t, "param"), t["x"], attrs["rank"], attrs)
    return {**stages, "logits": logits}


def loss_and_grads(t, attrs):
    """Forward at every rank, objective, backward."""
    params = {key: p.requires_grad_() for key, p in group(t, "param").items()}
    logits, stages = zip(*(forward_net(params, t["x"], rank, attrs) for rank in attrs["ranks"]), strict=True)
    kept = [
        {"logits": z} | {key: x for key, x in each.items() if key[0] in "za"}
        for z, each in zip(logits, stages, strict=True)
    ]
    for each in kept:
        for x in each.values():
            x.retain_grad()
    losses = torch.stack([F.cross_entropy(z.to(params["s"].dtype), t["targets"]) for z in logits])
    total = objective(losses, params["s"], attrs["ranks"], attrs["variant"])
    total.backward()
    outputs = {"logits": torch.stack(logits), "losses": losses, "total": total}
    outputs |= {f"grad.{key}": p.grad for key, p in params.items()}
    for name in stages[0]:
        outputs[name] = stacked([each[name] for each in stages], max(attrs["ranks"]) if name[0] == "h" else 0)
    return outputs | {f"d{name}": torch.stack([each[name].grad for each in kept]) for name in kept[0]}


def stacked(parts, top=0):
    """One tensor for all ranks; the channels from the rank on up to `top` are zero."""
    channels = max(top, parts[0].shape[1])
    out = parts[0].new_zeros((len(parts), parts[0].shape[0], channels, *parts[0].shape[2:]))
    for k, part in enumerate(parts):
        out[k, :, : part.shape[1]] = part.detach()
    return out


def training_step(t, attrs):
    """Loss and gradients, then AdamW; the log-variances have no decay."""
    outputs = loss_and_grads(t, attrs)
    for key, p in group(t, "param").items():
        decay = 0.0 if key == "s" else attrs["weight_decay"]
        step = {"p": p, "g": outputs[f"grad.{key}"], "m": t[f"m.{key}"], "v": t[f"v.{key}"]}
        new = adamw_step(step, attrs | {"weight_decay": decay})
        outputs |= {f"param.{key}": new["p"], f"m.{key}": new["m"], f"v.{key}": new["v"]}
    return outputs


def group(t, prefix):
    """The tensors of one prefix."""
    return {name.removeprefix(f"{prefix}."): x for name, x in t.items() if name.startswith(f"{prefix}.")}


MLP_ACTIVATIONS = {  # of a decoder, by family
    "gpt_neox": "gelu", "qwen2": "silu", "llama": "silu", "gemma": "gelu_tanh", "gpt_neo": "gelu_tanh",
}  # fmt: skip


def forward_decoder(params, t, rank, attrs):
    """Logits of a decoder at one rank. Which norms, gates and tables it has, its parameters tell."""
    tokens, (n, T), family = t["tokens"], t["tokens"].shape, attrs["family"]
    is_parallel, P = family == "gpt_neox", 0 if family == "gpt_neo" else attrs["rotary"] // 2
    angle = torch.arange(T)[:, None] * attrs["rotary_base"] ** (-torch.arange(P, dtype=torch.float64) / P)
    tables = [table.to(params["s"].dtype) for table in (angle.cos(), angle.sin())]

    def layer(key, x):
        W = [params.get(f"{key}.{name}") for name in "WABb"]
        if W[0] is not None:
            return linear(x, W[0], W[3])
        return linear(linear(x, W[1][:rank]), W[2][:, :rank], W[3])

    def normed(key, x):
        w = params[f"{key}.w"]
        if f"{key}.b" in params:
            return F.layer_norm(x, w.shape, w, params[f"{key}.b"], attrs["eps"])
        return F.rms_norm(x, w.shape, 1 + w if family == "gemma" else w, attrs["eps"])

    def attention(key, x):
        D = len(params[f"{key}.q.W"]) // attrs["heads"]
        q, k, v = (layer(f"{key}.{name}", x).view(n, T, -1, D) for name in "qkv")
        q, k = (rotary(heads, *tables, None) if P else heads for heads in (q, k))
        scale = 1.0 if family == "gpt_neo" else D**-0.5
        return layer(f"{key}.o", causal_attention(q, k, v, t["mask"], scale, attrs["window"]).reshape(n, T, -1))

    def mlp(key, x):
        act, up = ACTIVATIONS[MLP_ACTIVATIONS[family]], layer(f"{key}.up", x)
        inner = act(layer(f"{key}.gate", x)) * up if f"{key}.gate.A" in params else act(up)
        return layer(f"{key}.down", inner)

    x = F.embedding(tokens, params["embedding.E"])
    if family == "gemma":
        x = x * x.shape[-1] ** 0.5
    if "positions.E" in params:
        x = x + params["positions.E"][:T]
    for key in (f"blocks.{i}" for i in range(attrs["blocks"])):
        change = attention(f"{key}.attention", normed(f"{key}.norm1", x))
        read = x if is_parallel else x + change
        x = x + change + mlp(f"{key}.mlp", normed(f"{key}.norm2", read))
    return linear(normed("norm", x), params.get("head.W", params["embedding.E"]))


def decoder_loss_and_grads(t, attrs):
    """Logits predict the label of the next place; those of -100 do not count."""
    params = {key: p.requires_grad_() for key, p in group(t, "param").items()}
    logits = torch.stack([forward_decoder(params, t, rank, attrs) for rank in attrs["ranks"]])
    labels = t["targets"][:, 1:].flatten()
    losses = torch.stack([F.cross_entropy(z[:, :-1].flatten(0, 1), labels) for z in logits])
    total = objective(losses, params["s"], attrs["ranks"], attrs["variant"])
    total.backward()
    return {"logits": logits, "losses": losses, "total": total} | {f"grad.{key}": p.grad for key, p in params.items()}


# --- optimisers -------------------------------------------------------------------------------------------------------


def adamw_step(t, attrs):
    """torch.optim.AdamW in the middle of a run; of shorter formats in float32."""
    p, g, m, v = (wide(t[name]) for name in "pgmv")
    hyper = {"lr": attrs["lr"], "eps": attrs["eps"], "weight_decay": attrs["weight_decay"]}
    optimizer = torch.optim.AdamW([p], betas=(attrs["beta1"], attrs["beta2"]), **hyper)
    optimizer.state[p] = {"step": torch.tensor(attrs["t"] - 1.0), "exp_avg": m, "exp_avg_sq": v}
    p.grad = g
    optimizer.step()
    return {"p": p.to(t["p"].dtype), "m": m.to(t["p"].dtype), "v": v.to(t["p"].dtype)}


def sgd_step(t, attrs):
    """torch.optim.SGD with a momentum."""
    p, g, m = (wide(t[name]) for name in "pgm")
    optimizer = torch.optim.SGD([p], lr=attrs["lr"], momentum=attrs["momentum"], weight_decay=attrs["weight_decay"])
    optimizer.state[p] = {"momentum_buffer": m}
    p.grad = g
    optimizer.step()
    momentum = m if attrs["momentum"] else g + attrs["weight_decay"] * wide(t["p"])  # torch keeps none at momentum 0
    return {"p": p.to(t["p"].dtype), "m": momentum.to(t["p"].dtype)}


def wide(x):
    """A copy in float32 at least."""
    return x.detach().to(torch.promote_types(x.dtype, torch.float32)).clone()


# --- the table --------------------------------------------------------------------------------------------------------


def forward(function, output):
    """The forward operation of a function of the tensors and the attributes."""
    return lambda t, attrs: {output: function(t, attrs)}


def backward(function, output, arguments):
    """The backward operation: gradients d<name> of sum(cotangent * output)."""

    def run_backward(t, attrs):
        leaves = [t[name].requires_grad_() for name in arguments]
        value = function(t, attrs)
        grads = torch.autograd.grad(value, leaves, t[f"d{output}"], allow_unused=True, materialize_grads=True)
        return {f"d{name}": grad for name, grad in zip(arguments, grads, strict=True)}

    return run_backward


def pick(function, *names):
    """A function of tensors and attributes as one of t and attrs."""
    return lambda t, attrs: function(*(t[name] for name in names), **attrs)


def norm(function, *names):
    """A norm over the last axis, in float32 at least: PyTorch would sum the gradient of b in the format of x."""

    def run_norm(t, attrs):
        long = torch.promote_types(t["x"].dtype, torch.float32)
        y = function(t["x"].to(long), t["w"].shape, *(t[name].to(long) for name in names), eps=attrs["eps"])
        return y.to(t["x"].dtype)

    return run_norm


LAYER, PAIR = ("x", "A", "B", "b"), ("x", "W", "b")
DIFFERENTIABLE = {  # stem: the function, its output, what it is differentiated by
    "dense": (pick(linear, *PAIR), "y", PAIR),
    "nested_linear": (lambda t, a: nested_linear(*(t[name] for name in LAYER), **a)[0], "y", LAYER),
    "multirank_linear": (pick(multirank_linear, *LAYER), "ys", LAYER),
    "conv2d": (pick(conv2d, *PAIR), "y", PAIR),
    "nested_conv2d": (lambda t, a: nested_conv2d(*(t[name] for name in LAYER), **a)[0], "y", LAYER),
    "average_pool2d": (lambda t, a: F.avg_pool2d(t["x"], a["size"]), "y", ("x",)),
    "nested_embedding": (pick(nested_embedding, "tokens", "E", "B"), "y", ("E", "B")),
    "layer_norm": (norm(F.layer_norm, "w", "b"), "y", ("x", "w", "b")),
    "rms_norm": (norm(F.rms_norm, "w"), "y", ("x", "w")),
    "embedding": (pick(F.embedding, "tokens", "E"), "y", ("E",)),
    "rotary": (pick(rotary, "x", "cos", "sin"), "y", ("x",)),
    "causal_attention": (pick(causal_attention, "q", "k", "v", "mask"), "y", ("q", "k", "v")),
    "swiglu": (lambda t, a: F.silu(t["gate"]) * t["up"], "y", ("gate", "up")),
    "geglu": (lambda t, a: gelu(t["gate"], **a) * t["up"], "y", ("gate", "up")),
    "relu": (lambda t, a: F.relu(t["z"]), "y", ("z",)),
    "gelu": (pick(gelu, "z"), "y", ("z",)),
    "silu": (lambda t, a: F.silu(t["z"]), "y", ("z",)),
    "softmax_cross_entropy": (
        lambda t, a: cross_entropy(t["z"], t["targets"], a["reduction"], a["ignore_index"], a["label_smoothing"]),
        "loss",
        ("z",),
    ),
    "mean_squared_error": (pick(F.mse_loss, "y", "targets"), "loss", ("y",)),
    "kl_distillation": (pick(kl_distillation, "z", "teacher_z"), "loss", ("z", "teacher_z")),
    "objective": (pick(objective, "losses", "s"), "total", ("losses", "s")),
    "weighted_sum": (
        lambda t, a: (t["weights"][torch.tensor(a["ranks"]) - 1] * t["losses"]).sum(),
        "total",
        ("losses", "weights"),
    ),
    "gradnorm": (lambda t, a: (t["weights"] * t["norms"] - t["targets"]).abs().sum(), "distance", ("weights",)),
    "hard_orthogonality": (pick(hard_orthogonality, "A"), "penalty", ("A",)),
    "residual_orthogonality": (
        lambda t, a: (t["A"][: a["rank"]] @ t["A"][a["rank"] : a["anchor"]].T).square().sum(),
        "penalty",
        ("A",),
    ),
    "logits_regularisation": (pick(distance, "z_anchor", "z_variant"), "penalty", ("z_anchor", "z_variant")),
    "hidden_regularisation": (pick(distance, "h_anchor", "h_variant"), "penalty", ("h_anchor", "h_variant")),
}
OPERATIONS = {
    **{f"{stem}_forward": forward(f, output) for stem, (f, output, _) in DIFFERENTIABLE.items()},
    **{f"{stem}_backward": backward(*parts) for stem, parts in DIFFERENTIABLE.items()},
    "analytic_weights": lambda t, a: {"weights": by_rank(1 / t["losses"], **a)},
    "softmax_weights": lambda t, a: {
        "weights": by_rank(torch.softmax(1 / t["losses"] / a["temperature"], dim=0), a["ranks"], a["R"])
    },
    "gradnorm_targets": forward(pick(gradnorm_targets, "weights", "norms", "losses", "first_losses"), "targets"),
    "renormalised": lambda t, a: {"scaled": t["weights"] * (len(t["weights"]) / t["weights"].sum())},
    "adamw_step": adamw_step,
    "sgd_step": sgd_step,
    "mlp_forward": mlp_forward,
    "mlp_loss_and_grads": loss_and_grads,
    "mlp_step": training_step,
    "convnet_step": training_step,
    "decoder_loss_and_grads": decoder_loss_and_grads,
}
