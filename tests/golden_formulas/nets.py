"""Networks and their training steps: rank by rank, layer by layer."""

import flint

from golden_formulas.functions import activation, softmax
from golden_formulas.images import nested_convolve, nested_convolve_grads, pool, pool_grad, shape
from golden_formulas.linear import dense, dense_grads, dot, layer, layer_grads
from golden_formulas.lists import add, each, pick, total
from golden_formulas.objectives import adamw, weigh


def group(t, prefix):
    return {name.removeprefix(f"{prefix}."): x for name, x in t.items() if name.startswith(f"{prefix}.")}


def of_layer(P, i):
    return [P[f"layers.{i}.{name}"] for name in ("AB" if f"layers.{i}.A" in P else "W") + "b"]


def linear(P, i, x, r):
    """h (None if dense) and y."""
    if f"layers.{i}.W" in P:
        return None, dense(x, *of_layer(P, i))
    A, B, b = of_layer(P, i)
    return [[dot(A[c], row) for c in range(r)] for row in x], layer(x, A, B, b, r)


def linear_grads(P, i, x, r, dy):
    """dx, and gradients by name."""
    if f"layers.{i}.W" in P:
        dx, *grads = dense_grads(x, P[f"layers.{i}.W"], dy)
        return dx, {f"layers.{i}.{name}": g for name, g in zip("Wb", grads, strict=True)}
    A, B, _ = of_layer(P, i)
    dx, *grads = layer_grads(x, A, B, r, dy)
    return dx, {f"layers.{i}.{name}": g for name, g in zip("ABb", grads, strict=True)}


def activated(z, name):
    both = each(lambda x: activation(name, x), z)
    return pick(both, 0), pick(both, 1)


def mlp_pass(P, x, r, attrs):
    """The stages of the forward pass, and a function from dlogits to those of the backward pass and gradients."""
    depth, stages, inputs, slopes = attrs["depth"], {}, [x], []
    for i in range(depth):
        h, z = linear(P, i, inputs[-1], r)
        if h is not None:
            stages[f"h.{i}"] = h
        if i < depth - 1:
            a, slope = activated(z, attrs["activation"])
            stages |= {f"z.{i}": z, f"a.{i}": a}
            inputs.append(a)
            slopes.append(slope)

    def back(dz):
        found, grads = {}, {}
        for i in reversed(range(depth)):
            dx, own = linear_grads(P, i, inputs[i], r, dz)
            grads |= own
            if i:
                dz = each(lambda g, s: g * s, dx, slopes[i - 1])
                found |= {f"da.{i - 1}": dx, f"dz.{i - 1}": dz}
        return found, grads

    return stages | {"logits": z}, back


def convnet_pass(P, x, r, attrs):
    """As `mlp_pass`; a convolution keeps the image's size, each is followed by an activation and a pool."""
    last, stages, inputs, slopes, images, sizes = attrs["depth"] - 1, {}, [x], [], [], []
    padding = [len(P["layers.0.A"][0][0]) // 2] * 2
    for i in range(last):
        z, h = nested_convolve(inputs[-1], *of_layer(P, i), r, [1, 1], padding)
        a, slope = activated(z, attrs["activation"])
        size = (2, 2) if i < last - 1 else shape(a)[2:]
        stages |= {f"h.{i}": h, f"z.{i}": z, f"a.{i}": a}
        images.append(shape(a))
        sizes.append(size)
        slopes.append(slope)
        inputs.append(pool(a, size))
    features = [[channel[0][0] for channel in image] for image in inputs[-1]]
    h, logits = linear(P, last, features, r)
    if h is not None:
        stages[f"h.{last}"] = h

    def back(dz):
        found = {}
        dx, grads = linear_grads(P, last, features, r, dz)
        dx = [[[[g]] for g in row] for row in dx]
        for i in reversed(range(last)):
            da = pool_grad(images[i], sizes[i], dx)
            dz = each(lambda g, s: g * s, da, slopes[i])
            A, B, _ = of_layer(P, i)
            dx, *own = nested_convolve_grads(inputs[i], A, B, r, [1, 1], padding, dz)
            grads |= {f"layers.{i}.{name}": g for name, g in zip("ABb", own, strict=True)}
            found |= {f"da.{i}": da, f"dz.{i}": dz}
        return found, grads

    return stages | {"logits": logits}, back


def mlp_forward(t, attrs):
    return mlp_pass(group(t, "param"), t["x"], attrs["rank"], attrs)[0]


def cross_entropy(z, targets):
    """The mean loss, and its gradient."""
    p = [softmax(row) for row in z]
    loss = -total((row[target].log() for row, target in zip(p, targets, strict=True)), flint.arb(0)) / len(z)
    return loss, [
        [(x - (c == target)) / len(z) for c, x in enumerate(row)] for row, target in zip(p, targets, strict=True)
    ]


def loss_and_grads(run, t, attrs):
    P, ranks = group(t, "param"), attrs["ranks"]
    passes = [run(P, t["x"], r, attrs) for r in ranks]
    losses, errors = zip(*(cross_entropy(stages["logits"], t["targets"]) for stages, _ in passes), strict=True)
    total, w, dlosses, ds = weigh(losses, P["s"], ranks, attrs["variant"], flint.arb(1))
    dlogits = [each(lambda g, scale=scale: g * scale, error) for error, scale in zip(errors, dlosses, strict=True)]
    returned = [back(dz) for (_, back), dz in zip(passes, dlogits, strict=True)]
    everything = [stages | found for (stages, _), (found, _) in zip(passes, returned, strict=True)]
    out = {name: stacked(name, [stages[name] for stages in everything], max(ranks)) for name in everything[0]}
    out |= {"losses": list(losses), "total": total, "w": w, "dlogits": dlogits, "grad.s": ds}
    for _, grads in returned:
        for key, g in grads.items():
            name = f"grad.{key}"
            out[name] = add(out[name], g) if name in out else g
    return out


def stacked(name, parts, top):
    """One tensor for all ranks; the channels of h that a rank does not have are zero."""
    if not name.startswith("h."):
        return parts
    return [[padded(row, top) for row in part] for part in parts]


def padded(channels, top):
    return channels + [each(lambda x: 0 * x, channels[0])] * (top - len(channels))


def step(run, t, attrs):
    out, P = loss_and_grads(run, t, attrs), group(t, "param")
    for key, p in P.items():
        decay = 0.0 if key == "s" else attrs["weight_decay"]
        state = p, out[f"grad.{key}"], t[f"m.{key}"], t[f"v.{key}"]
        new = each(lambda *xs, decay=decay: adamw(*xs, decay, attrs), *state)
        out |= {f"{name}.{key}": pick(new, k) for k, name in enumerate(("param", "m", "v"))}
    return out


OPERATIONS = {
    "mlp_forward": mlp_forward,
    "mlp_loss_and_grads": lambda t, attrs: loss_and_grads(mlp_pass, t, attrs),
    "mlp_step": lambda t, attrs: step(mlp_pass, t, attrs),
    "convnet_step": lambda t, attrs: step(convnet_pass, t, attrs),
}
