"""The networks and their training steps: the code of `nsn_ref.nets`, with every intermediate result by name."""

import math

import numpy as np

from nsn_ref.golden.groups import group
from nsn_ref.golden.schema.decoder import FAMILIES, SCALED_EMBEDDING
from nsn_ref.nets.convnet import ConvNet
from nsn_ref.nets.decoder import Decoder, DecoderConfig
from nsn_ref.nets.layers import ACTIVATIONS
from nsn_ref.nets.loss_and_grads import loss_and_grads
from nsn_ref.nets.mlp import MLP
from nsn_ref.scalars import zeros


class Recorder:
    """Operations that remember what they returned, call by call."""

    def __init__(self, ops):
        self._ops, self.calls = ops, {}

    def __getattr__(self, name):
        function = getattr(self._ops, name)

        def record(*args, **options):
            result = function(*args, **options)
            self.calls.setdefault(name, []).append(result)
            return result

        return record


def mlp(params, attrs):
    """The network of an mlp operation: its sizes are those of the parameters."""
    biases = [params[f"layers.{i}.b"] for i in range(attrs["depth"])]
    first = params["layers.0.A"] if "layers.0.A" in params else params["layers.0.W"]
    widths = first.shape[1], *map(len, biases)
    return MLP(widths, len(params["s"]), _nested(attrs), attrs["activation"])


def convnet(params, attrs):
    """The network of a convnet operation."""
    kernels, biases = params["layers.0.A"], [params[f"layers.{i}.b"] for i in range(attrs["depth"])]
    *channels, classes = kernels.shape[1], *map(len, biases)
    return ConvNet(tuple(channels), classes, len(params["s"]), kernels.shape[-1], _nested(attrs), attrs["activation"])


def _nested(attrs):
    return (True,) * (attrs["depth"] - 1) + (attrs["head"] == "nested",)


def _mlp_forward(engine, inputs, attrs):
    params, ops = group(inputs, "param"), Recorder(engine.ops)
    logits, _ = mlp(params, attrs).forward(params, inputs["x"], attrs["rank"], ops)
    stem, _ = ACTIVATIONS[attrs["activation"]]
    named = {}
    for i, (z, saved) in enumerate(ops.calls.get("nested_linear_forward", ())):
        named |= {f"h.{i}": saved.h, f"z.{i}": z}
    for i, (a, _) in enumerate(ops.calls.get(f"{stem}_forward", ())):
        named[f"a.{i}"] = a
    named.pop(f"z.{attrs['depth'] - 1}", None)
    return named | {"logits": logits}


def _loss_and_grads(make_net, stages, engine, inputs, attrs):
    params, ops = group(inputs, "param"), Recorder(engine.ops)
    out = loss_and_grads(
        make_net(params, attrs), params, inputs["x"], inputs["targets"], attrs["ranks"],
        objective=attrs["variant"], ops=ops,
    )  # fmt: skip
    named = stages(ops.calls, attrs) | {"logits": out.logits, "losses": out.losses, "total": out.total}
    return named | {f"grad.{key}": g for key, g in out.grads.items()}


def decoder(params, attrs, T):
    """The network of a decoder operation on T places: its sizes are those of the parameters."""
    (V, hidden), R, family = params["embedding.E"].shape, len(params["s"]), attrs["family"]
    q_out, k_out = (len(params[f"blocks.0.attention.{name}.W"]) for name in "qk")
    fields = {
        "vocabulary": V,
        "hidden": hidden,
        "intermediate": len(params["blocks.0.mlp.up.B"]),
        "blocks": attrs["blocks"],
        "heads": attrs["heads"],
        "context": len(params.get("positions.E", range(T))),
        "kv_heads": k_out * attrs["heads"] // q_out,
        "head_dim": q_out // attrs["heads"],
        "eps": attrs["eps"],
        "rotary": attrs["rotary"],
        "rotary_base": attrs["rotary_base"],
        "embedding_scale": math.sqrt(hidden) if family in SCALED_EMBEDDING else 1.0,
        "windows": (attrs["window"],) * attrs["blocks"],
        "nested": tuple((key.removesuffix(".A"), R) for key in params if key.endswith(".A")),
    }
    return Decoder(DecoderConfig(**fields | FAMILIES[family]))


def _decoder_loss_and_grads(engine, inputs, attrs):
    params, ops = group(inputs, "param"), Recorder(engine.ops)
    net = decoder(params, attrs, inputs["tokens"].shape[1])
    out = loss_and_grads(
        net, params, inputs["tokens"], inputs["targets"], attrs["ranks"],
        objective=attrs["variant"], ops=ops, mask=inputs["mask"].astype(bool),
    )  # fmt: skip
    (_, saved), *_ = ops.calls["objective_forward"]
    named = {"logits": out.logits, "losses": out.losses, "w": saved.w, "total": out.total}
    return named | {f"grad.{key}": g for key, g in out.grads.items()}


def _step(make_net, stages, engine, inputs, attrs):
    named = _loss_and_grads(make_net, stages, engine, inputs, attrs)
    params, m, v = (group(inputs, prefix) for prefix in ("param", "m", "v"))
    step = {name: attrs[name] for name in ("lr", "beta1", "beta2", "eps")}
    for key, p in params.items():
        decay = 0.0 if key == "s" else attrs["weight_decay"]
        new = engine.adamw_step(p, named[f"grad.{key}"], m[key], v[key], attrs["t"], weight_decay=decay, **step)
        named |= {f"param.{key}": new.p, f"m.{key}": new.m, f"v.{key}": new.v}
    return named


# --- intermediates, from the calls in the order of `nsn_ref.nets.chain`: rank by rank, and layer by layer within ------


def _mlp_stages(calls, attrs):
    """The first layer runs at all ranks at once; each later one once for each rank."""
    ranks, depth = attrs["ranks"], attrs["depth"]
    later = depth - 1 - (attrs["head"] == "dense")  # nested layers after the first
    zs, saved = calls["multirank_linear_forward"][0]
    named = {"z.0": zs, "h.0": _spread([saved.h[:, :r] for r in ranks], ranks)}
    for i, each in enumerate(_by_layer(calls.get("nested_linear_forward", ()), later), start=1):
        named |= {f"z.{i}": np.stack([z for z, _ in each]), f"h.{i}": _spread([s.h for _, s in each], ranks)}
    named.pop(f"z.{depth - 1}", None)  # the logits
    if attrs["head"] == "dense":
        named[f"da.{depth - 2}"] = np.stack([dx for dx, *_ in calls["dense_backward"]])
    for j, each in enumerate(_by_layer(calls.get("nested_linear_backward", ()), later)):
        named[f"da.{later - 1 - j}"] = np.stack([dx for dx, *_ in each])
    return named | _shared_stages(calls, attrs)


def _convnet_stages(calls, attrs):
    """The first convolution runs at each rank first, then all that follows rank by rank."""
    ranks, convolutions = attrs["ranks"], attrs["depth"] - 1
    K = len(ranks)
    convolved = calls["nested_conv2d_forward"]
    named = {}
    for i, each in enumerate([convolved[:K], *_by_layer(convolved[K:], convolutions - 1)]):
        named[f"z.{i}"] = np.stack([z for z, _ in each])
        named[f"h.{i}"] = np.moveaxis(_spread([s.linear.h for _, s in each], ranks), -1, 2)
    if attrs["head"] == "nested":
        named[f"h.{convolutions}"] = _spread([s.h for _, s in calls["nested_linear_forward"]], ranks)
    for j, each in enumerate(_by_layer(calls["average_pool2d_backward"], convolutions)):
        named[f"da.{convolutions - 1 - j}"] = np.stack(each)
    return named | _shared_stages(calls, attrs)


def _shared_stages(calls, attrs):
    """Activations, weights of the losses, and the cotangents of logits and activations."""
    stem, _ = ACTIVATIONS[attrs["activation"]]
    (_, saved), count = calls["objective_forward"][0], attrs["depth"] - 1
    named = {"w": saved.w, "dlogits": np.stack(calls["softmax_cross_entropy_backward"])}
    for i, each in enumerate(_by_layer(calls.get(f"{stem}_forward", ()), count)):
        named[f"a.{i}"] = np.stack([a for a, _ in each])
    for j, each in enumerate(_by_layer(calls.get(f"{stem}_backward", ()), count)):
        named[f"dz.{count - 1 - j}"] = np.stack(each)
    return named


def _by_layer(calls, count):
    """Calls that were made rank by rank, `count` for each rank, as `count` lists over the ranks."""
    return [calls[i::count] for i in range(count)]


def _spread(hs, ranks):
    """Bottlenecks (..., r) of different ranks as (K, ..., top): zeros from component r + 1 on."""
    out = zeros((len(hs), *hs[0].shape[:-1], max(ranks)), hs[0])
    for k, (h, r) in enumerate(zip(hs, ranks, strict=True)):
        out[k, ..., :r] = h
    return out


NETS = {
    "mlp_forward": _mlp_forward,
    "mlp_loss_and_grads": lambda *args: _loss_and_grads(mlp, _mlp_stages, *args),
    "mlp_step": lambda *args: _step(mlp, _mlp_stages, *args),
    "convnet_step": lambda *args: _step(convnet, _convnet_stages, *args),
    "decoder_loss_and_grads": _decoder_loss_and_grads,
}
