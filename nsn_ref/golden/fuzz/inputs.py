"""Small random inputs of every operation: sizes, ranks, scales and attributes are drawn too."""

import ml_dtypes
import numpy as np

from nsn_ref.golden import schema

_NUMPY = {"bfloat16": ml_dtypes.bfloat16}
ADAMW = {"t": 3, "lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3, "weight_decay": 0.1}


def draw(op, dtype, rng):
    """Inputs of an operation in a format, and its attributes."""
    tensors, attrs = _DRAW[op.removesuffix("_forward").removesuffix("_backward")](rng)
    declared = schema.operation(op).tensors("inputs", attrs)
    if op.endswith("_backward"):  # a net has none
        *_, cotangent = declared
        forward = schema.operation(op.removesuffix("backward") + "forward")
        shape = _output_shape(forward, tensors, attrs)
        tensors[cotangent] = _normal(rng, *shape)
    attrs = {attr.name: attrs[attr.name] for attr in schema.operation(op).attrs}
    return {name: _cast(tensors[name], schema.stored_as(t, dtype)) for name, t in declared.items()}, attrs


def _cast(x, dtype):
    return x if x.dtype.kind in "iu" else x.astype(_NUMPY.get(dtype, dtype))


def _output_shape(forward, tensors, attrs):
    """The shape of an operation's output, from the reference."""
    from nsn_ref.golden.evaluate import evaluate, reference

    needed = [t.name for t in forward.outputs if not t.optional]
    return np.shape(evaluate(reference(), forward.name, tensors, attrs)[needed[0]])


def _normal(rng, *shape):
    """Full mantissas at a random scale; in one draw of four all of one sign, so that nothing cancels."""
    x = rng.standard_normal(shape) * 2.0 ** rng.integers(-2, 3)
    return np.abs(x) if rng.random() < 0.25 else x


def _sizes(rng, count, low=1, high=6):
    return [int(n) for n in rng.integers(low, high, count)]


def _layer(rng):
    d_in, d_out, R = _sizes(rng, 3)
    leading = _sizes(rng, int(rng.integers(1, 3)), 1, 4)
    return _normal(rng, *leading, d_in), _normal(rng, R, d_in), _normal(rng, d_out, R), _normal(rng, d_out)


def _dense(rng):
    d_in, d_out, n = _sizes(rng, 3, 1, 9)
    return {"x": _normal(rng, n, d_in), "W": _normal(rng, d_out, d_in), "b": _normal(rng, d_out)}, {}


def _nested_linear(rng):
    x, A, B, b = _layer(rng)
    return {"x": x, "A": A, "B": B, "b": b}, {"rank": int(rng.integers(1, len(A) + 1))}


def _multirank_linear(rng):
    x, A, B, b = _layer(rng)
    return {"x": x, "A": A, "B": B, "b": b}, {"ranks": _ranks(rng, len(A))}


def _ranks(rng, R):
    return [int(r) for r in rng.integers(1, R + 1, rng.integers(1, 4))]


def _image(rng):
    n, c_in, c_out, R = _sizes(rng, 4, 1, 4)
    k_h, k_w = _sizes(rng, 2, 1, 4)
    x = _normal(rng, n, c_in, k_h + int(rng.integers(0, 3)), k_w + int(rng.integers(0, 3)))
    attrs = {"stride": _sizes(rng, 2, 1, 3), "padding": _sizes(rng, 2, 0, 2)}
    return x, (c_in, c_out, R, k_h, k_w), attrs


def _conv2d(rng):
    x, (c_in, c_out, _, k_h, k_w), attrs = _image(rng)
    return {"x": x, "W": _normal(rng, c_out, c_in, k_h, k_w), "b": _normal(rng, c_out)}, attrs


def _nested_conv2d(rng):
    x, (c_in, c_out, R, k_h, k_w), attrs = _image(rng)
    tensors = {"x": x, "A": _normal(rng, R, c_in, k_h, k_w), "B": _normal(rng, c_out, R), "b": _normal(rng, c_out)}
    return tensors, attrs | {"rank": int(rng.integers(1, R + 1))}


def _average_pool2d(rng):
    n, c, k_h, k_w, a, b = _sizes(rng, 6, 1, 4)
    return {"x": _normal(rng, n, c, k_h * a, k_w * b)}, {"size": [k_h, k_w]}


def _nested_embedding(rng):
    V, R, d_out, n = _sizes(rng, 4)
    tensors = {"tokens": rng.integers(0, V, n), "E": _normal(rng, V, R), "B": _normal(rng, d_out, R)}
    return tensors, {"rank": int(rng.integers(1, R + 1))}


def _embedding(rng):
    V, d, n = _sizes(rng, 3)
    return {"tokens": rng.integers(0, V, n), "E": _normal(rng, V, d)}, {}


def _rotary(rng):
    n, T, H, P = _sizes(rng, 4, 1, 4)
    own = bool(rng.integers(2))
    angle = rng.uniform(-60, 60, (n, T, P) if own else (T, P))
    x = _normal(rng, n, T, H, 2 * P + int(rng.integers(0, 3)))
    return {"x": x, "cos": np.cos(angle), "sin": np.sin(angle)}, {"tables": "own" if own else "shared"}


def _causal_attention(rng):
    n, T, G, share = _sizes(rng, 4, 1, 4)
    D, S = int(rng.integers(1, 6)), T + int(rng.integers(0, 3))
    size = rng.choice([0.2, 0.6])
    tensors = {"q": size * rng.standard_normal((n, T, share * G, D)), "k": size * rng.standard_normal((n, S, G, D))}
    tensors |= {"v": _normal(rng, n, S, G, D), "mask": (rng.random((n, S)) < 0.8).astype(np.int64)}
    return tensors, {"scale": float(rng.choice([D**-0.5, 0.3, 1.0])), "window": int(rng.integers(1, S + 2))}


def _gated(attrs=lambda rng: {}):
    def draw_gated(rng):
        shape = _sizes(rng, 2)
        return {"gate": rng.standard_normal(shape) * rng.choice([0.5, 2, 4]), "up": _normal(rng, *shape)}, attrs(rng)

    return draw_gated


def _form(rng):
    return {"approximate": str(rng.choice(["none", "tanh"]))}


def _vectors(rng):
    n, d = _sizes(rng, 2, 2, 8)
    return _normal(rng, n, d) + rng.choice([0.0, 1.0]), d


def _layer_norm(rng):
    x, d = _vectors(rng)
    return {"x": x, "w": _normal(rng, d), "b": _normal(rng, d)}, {"eps": float(rng.choice([1e-5, 0.1]))}


def _rms_norm(rng):
    x, d = _vectors(rng)
    return {"x": x, "w": _normal(rng, d)}, {"eps": float(rng.choice([1e-5, 0.1]))}


def _activation(attrs=lambda rng: {}):
    return lambda rng: ({"z": rng.standard_normal(_sizes(rng, 2)) * rng.choice([0.5, 2, 4])}, attrs(rng))


def _logits(rng):
    n, C = _sizes(rng, 1)[0], _sizes(rng, 1, 2, 7)[0]
    return rng.standard_normal((n, C)) * rng.choice([0.3, 3, 30]), n, C


def _softmax_cross_entropy(rng):
    z, n, C = _logits(rng)
    attrs = {
        "targets": str(rng.choice(["labels", "soft"])),
        "reduction": str(rng.choice(["mean", "sum"])),
        "ignore_index": -1,
        "label_smoothing": float(rng.choice([0.0, 0.1])),
    }
    soft = rng.uniform(0.1, 1, (n, C))
    targets = rng.integers(0, C, n) if attrs["targets"] == "labels" else soft / soft.sum(axis=1, keepdims=True)
    return {"z": z, "targets": targets}, attrs


def _mean_squared_error(rng):
    n, d = _sizes(rng, 2)
    return {"y": _normal(rng, n, d), "targets": _normal(rng, n, d)}, {"reduction": str(rng.choice(["mean", "sum"]))}


def _kl_distillation(rng):
    z, _, _ = _logits(rng)
    teacher = z + rng.standard_normal(z.shape)
    attrs = {"temperature": float(rng.choice([1.0, 2.5])), "reduction": str(rng.choice(["mean", "sum"]))}
    return {"z": z, "teacher_z": teacher}, attrs


def _objective(rng):
    R = int(rng.integers(1, 6))
    ranks = _ranks(rng, R)
    tensors = {"losses": rng.uniform(0.1, 4, len(ranks)), "s": rng.uniform(-4, 4, R)}
    return tensors, {"ranks": ranks, "variant": str(rng.choice(["uncertainty", "classification", "bounded"]))}


def _weighted_sum(rng):
    R = int(rng.integers(1, 6))
    ranks = _ranks(rng, R)
    return {"losses": rng.uniform(0.1, 4, len(ranks)), "weights": rng.uniform(0.1, 2, R)}, {"ranks": ranks}


def _loss_weights(rng):
    R = int(rng.integers(1, 6))
    ranks = _ranks(rng, R)
    attrs = {"ranks": ranks, "R": R, "temperature": float(rng.choice([1.0, 0.7]))}
    return {"losses": rng.uniform(0.3, 4, len(ranks))}, attrs


def _gradnorm_targets(rng):
    K = int(rng.integers(1, 5))
    names = "weights", "norms", "losses", "first_losses"
    return {name: rng.uniform(0.3, 3, K) for name in names}, {"alpha": float(rng.choice([0.5, 1.5]))}


def _gradnorm(rng):
    K = int(rng.integers(1, 5))
    tensors = {name: rng.uniform(0.3, 3, K) for name in ("weights", "norms")}
    apart = 1 + rng.choice([-1, 1], K) * rng.uniform(0.2, 0.9, K)
    return tensors | {"targets": tensors["weights"] * tensors["norms"] * apart}, {}


def _renormalised(rng):
    return {"weights": rng.uniform(0.1, 3, int(rng.integers(1, 6)))}, {}


def _hard_orthogonality(rng):
    R, d = _sizes(rng, 2)
    return {"A": _normal(rng, R, d)}, {}


def _residual_orthogonality(rng):
    R, d = _sizes(rng, 1, 2, 6)[0], _sizes(rng, 1)[0]
    anchor = int(rng.integers(2, R + 1))
    return {"A": _normal(rng, R, d)}, {"rank": int(rng.integers(1, anchor)), "anchor": anchor}


def _distance(prefix):
    def draw_pair(rng):
        n, d = _sizes(rng, 2)
        tensors = {f"{prefix}_{which}": _normal(rng, n, d) for which in ("anchor", "variant")}
        return tensors, {"stop_anchor": bool(rng.integers(2))}

    return draw_pair


def _adamw_step(rng):
    shape = _sizes(rng, 2)
    tensors = {"p": _normal(rng, *shape), "g": _normal(rng, *shape), "m": _normal(rng, *shape)}
    tensors["v"] = rng.uniform(0.1, 2, shape) ** 2
    return tensors, ADAMW | {"t": int(rng.integers(1, 30)), "eps": float(rng.choice([1e-3, 1e-8]))}


def _sgd_step(rng):
    shape = _sizes(rng, 2)
    tensors = {name: _normal(rng, *shape) for name in "pgm"}
    return tensors, {"lr": 0.1, "momentum": 0.9, "weight_decay": float(rng.choice([0.0, 0.01]))}


def _net(rng, R, depth):
    """Attributes of a net."""
    return ADAMW | {
        "ranks": _ranks(rng, R)[:2],
        "rank": int(rng.integers(1, R + 1)),
        "activation": str(rng.choice(["relu", "gelu", "gelu_tanh", "silu"])),
        "head": str(rng.choice(["nested", "dense"])),
        "depth": depth,
        "variant": str(rng.choice(["uncertainty", "classification", "bounded"])),
    }


def _mlp(rng):
    """A net of two layers."""
    d_in, width, C, R, n = _sizes(rng, 5, 2, 5)
    attrs = _net(rng, R, 2)
    shapes = {"layers.0.A": (R, d_in), "layers.0.B": (width, R), "layers.0.b": (width,)}
    if attrs["head"] == "nested":
        shapes |= {"layers.1.A": (R, width), "layers.1.B": (C, R)}
    else:
        shapes["layers.1.W"] = (C, width)
    shapes |= {"layers.1.b": (C,), "s": (R,)}
    return {"x": rng.standard_normal((n, d_in)), "targets": rng.integers(0, C, n)} | _state(rng, shapes), attrs


def _convnet(rng):
    """One or two convolutions of small images, and a head."""
    c, C, R, n = _sizes(rng, 4, 1, 4)
    k, depth = int(rng.choice([1, 3])), int(rng.integers(2, 4))
    attrs = _net(rng, R, depth)
    shapes = {}
    for i in range(depth - 1):
        shapes |= {f"layers.{i}.A": (R, c, k, k), f"layers.{i}.B": (c + 1, R), f"layers.{i}.b": (c + 1,)}
        c += 1
    last = f"layers.{depth - 1}"
    if attrs["head"] == "nested":
        shapes |= {f"{last}.A": (R, c), f"{last}.B": (C + 1, R)}
    else:
        shapes[f"{last}.W"] = (C + 1, c)
    shapes |= {f"{last}.b": (C + 1,), "s": (R,)}
    images = rng.standard_normal((n, shapes["layers.0.A"][1], 4, 4))
    return {"x": images, "targets": rng.integers(0, C + 1, n)} | _state(rng, shapes), attrs


def _decoder(rng):
    """A decoder of one block; what a block adds is smaller than what it is added to."""
    n, T, V, hidden, width, R = 1, int(rng.integers(2, 4)), *_sizes(rng, 4, 3, 6)
    kv_heads, D = int(rng.integers(1, 3)), int(rng.integers(2, 4))
    family = str(rng.choice(list(schema.decoder.FAMILIES)))
    attrs = _net(rng, R, 1) | {"family": family, "blocks": 1, "heads": 2, "window": int(rng.integers(1, T + 1))}
    attrs |= {"rotary": 2, "rotary_base": float(rng.choice([10.0, 10000.0])), "eps": 1e-3}
    sizes = {"V": V, "hidden": hidden, "width": width, "R": R, "q_out": 2 * D, "k_out": kv_heads * D, "context": T + 1}
    one = 1 - schema.decoder.FAMILIES[family].get("norm_offset", 0)
    mask, targets = np.ones((n, T), np.int64), rng.integers(0, V, (n, T))
    if rng.random() < 0.3:
        mask[0, 0], targets[0, 0] = 0, -100
    tensors = {"tokens": rng.integers(0, V, (n, T)), "targets": targets, "mask": mask}
    for p in schema.decoder.parameters(attrs):
        x = rng.standard_normal([sizes[axis] for axis in p.axes.split()])
        last = p.name.rpartition(".")[2]
        scale = {"w": 0.2, "b": 0.3, "E": 1.0, "s": 1.0}.get(last, 0.5 / np.sqrt(x.shape[-1]))
        tensors[f"param.{p.name}"] = scale * x + one * (last == "w")
    return tensors, attrs


def _state(rng, shapes):
    """Parameters, and moments of the size of the gradients."""
    tensors = {}
    for key, shape in shapes.items():
        tensors[f"param.{key}"] = rng.standard_normal(shape) / 1.5
        tensors[f"m.{key}"] = rng.standard_normal(shape)
        tensors[f"v.{key}"] = rng.uniform(0.5, 2, shape) ** 2
    return tensors


_DRAW = {
    "mlp": _mlp,
    "mlp_loss_and_grads": _mlp,
    "mlp_step": _mlp,
    "convnet_step": _convnet,
    "decoder_loss_and_grads": _decoder,
    "dense": _dense,
    "nested_linear": _nested_linear,
    "multirank_linear": _multirank_linear,
    "conv2d": _conv2d,
    "nested_conv2d": _nested_conv2d,
    "average_pool2d": _average_pool2d,
    "nested_embedding": _nested_embedding,
    "embedding": _embedding,
    "rotary": _rotary,
    "causal_attention": _causal_attention,
    "swiglu": _gated(),
    "geglu": _gated(_form),
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "relu": _activation(),
    "gelu": _activation(_form),
    "silu": _activation(),
    "softmax_cross_entropy": _softmax_cross_entropy,
    "mean_squared_error": _mean_squared_error,
    "kl_distillation": _kl_distillation,
    "objective": _objective,
    "weighted_sum": _weighted_sum,
    "analytic_weights": _loss_weights,
    "softmax_weights": _loss_weights,
    "gradnorm_targets": _gradnorm_targets,
    "gradnorm": _gradnorm,
    "renormalised": _renormalised,
    "hard_orthogonality": _hard_orthogonality,
    "residual_orthogonality": _residual_orthogonality,
    "logits_regularisation": _distance("z"),
    "hidden_regularisation": _distance("h"),
    "adamw_step": _adamw_step,
    "sgd_step": _sgd_step,
}
