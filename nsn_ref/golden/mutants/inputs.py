"""Random inputs for any operation, from its schema: what a claim that two ports are equivalent is tested on."""

from nsn_ref.golden import schema

_KERNEL = {"k_h": 3, "k_w": 2, "k": 3}
_POSITIVE = {"losses", "first_losses", "norms", "v", "weights"}


def draw(op, rng, among=None):
    """Inputs in float64, and attributes, of one call with small sizes; every axis and option varies.

    Parameters
    ----------
    op : str
    rng : numpy.random.Generator
    among : dict, optional
        Attribute to the values to choose from, where not all will do.
    """
    sizes = _Sizes(rng)
    attrs = _attrs(op, rng, sizes, among or {})
    inputs = {}
    for name, tensor in schema.operation(op).tensors("inputs", attrs).items():
        shape = sizes.shape(tensor.axes)
        base = name.rpartition(".")[2] if name.startswith("param.") else name.partition(".")[0]
        if name == "mask":
            inputs[name] = rng.integers(0, 4, shape).clip(0, 1)
        elif tensor.kind == "int64":
            inputs[name] = rng.integers(0, sizes["V"] if name == "tokens" or "blocks" in attrs else sizes["C"], shape)
        elif base in _POSITIVE:
            inputs[name] = rng.uniform(0.2, 3.0, shape)
        else:
            inputs[name] = rng.standard_normal(shape)
    return inputs, attrs


class _Sizes(dict):
    """Sizes of the axes by letter, drawn when first asked for."""

    def __init__(self, rng):
        super().__init__(_KERNEL)
        self.rng = rng

    def __missing__(self, letter):
        low, high = {"R": (4, 9), "H": (4, 8), "W": (4, 8), "H_0": (4, 5), "W_0": (4, 5)}.get(letter, (1, 7))
        self[letter] = int(self.rng.integers(low, high)) if letter not in ("H_0", "W_0") else 4
        return self[letter]

    def shape(self, axes):
        """Axes such as "... d_in": the leading ones are one or two."""
        out = []
        for letter in axes.split():
            out += self.leading() if letter == "..." else [self[letter]]
        return tuple(out)

    def leading(self):
        if "..." not in self:
            self["..."] = [int(n) for n in self.rng.integers(1, 5, self.rng.integers(1, 3))]
        return self["..."]


def _attrs(op, rng, sizes, among):
    """Attributes of an operation, consistent with each other and with the sizes."""
    R, names = sizes["R"], {a.name for a in schema.operation(op).attrs}
    ranks = [int(r) for r in rng.integers(1, R + 1, rng.integers(1, 5))]
    sizes["K"] = len(ranks) if "ranks" in names else int(rng.integers(1, 6))
    drawn = {
        "rank": int(rng.integers(1, R)),
        "ranks": ranks,
        "R": R,
        "anchor": R,
        "stride": [int(s) for s in rng.integers(1, 3, 2)],
        "padding": [int(p) for p in rng.integers(0, 2, 2)],
        "size": [2, 1],
        "eps": float(10.0 ** rng.uniform(-6, -1)),
        "approximate": str(rng.choice(["none", "tanh"])),
        "reduction": str(rng.choice(["mean", "sum"])),
        "targets": str(rng.choice(["labels", "soft"])),
        "ignore_index": -1,
        "label_smoothing": float(rng.choice([0.0, 0.1])),
        "temperature": float(rng.uniform(0.5, 3)),
        "variant": str(rng.choice(["uncertainty", "classification", "bounded"])),
        "alpha": float(rng.uniform(0, 2)),
        "stop_anchor": bool(rng.integers(2)),
        "t": int(rng.integers(1, 9)),
        "lr": float(rng.uniform(0.01, 0.5)),
        "beta1": 0.9,
        "beta2": float(rng.choice([0.99, 0.999])),
        "weight_decay": float(rng.uniform(0, 0.5)),
        "momentum": float(rng.uniform(0, 0.9)),
        "tables": str(rng.choice(["shared", "own"])),
        "scale": float(rng.uniform(0.2, 1.5)),
        "window": int(rng.integers(1, 6)),
        "family": str(rng.choice(list(schema.decoder.FAMILIES))),
        "blocks": int(rng.integers(1, 3)),
        "heads": 2 * int(rng.integers(1, 3)),
        "rotary": 2,
        "rotary_base": float(rng.uniform(5, 100)),
        "depth": int(rng.integers(2, 4)),
        "head": str(rng.choice(["nested", "dense"])),
        "activation": str(rng.choice(["relu", "gelu", "gelu_tanh", "silu"])),
    }
    drawn |= {name: values[rng.integers(len(values))] for name, values in among.items()}
    if "blocks" in names:
        D = int(rng.integers(2, 5))
        sizes["T"], sizes["q_out"], sizes["k_out"] = int(rng.integers(2, 5)), drawn["heads"] * D, 2 * D
        sizes["context"] = sizes["T"] + int(rng.integers(0, 3))
    elif "tables" in names:
        sizes["D"] = 2 * sizes["P"] + int(rng.integers(0, 3))
    elif "window" in names:
        sizes["S"], sizes["H"] = sizes["T"] + int(rng.integers(0, 3)), sizes["G"] * int(rng.integers(1, 4))
    if "size" in names:
        sizes["H"], sizes["W"] = 2 * int(rng.integers(1, 4)), int(rng.integers(1, 5))
    if op.endswith("conv2d_backward"):  # the cotangent has the output's height and width
        for letter, k, s, p in zip("HW", ("k_h", "k_w"), drawn["stride"], drawn["padding"], strict=True):
            sizes[f"{letter}_out"] = (sizes[letter] + 2 * p - sizes[k]) // s + 1
    elif "size" in names:
        sizes["H_out"], sizes["W_out"] = sizes["H"] // 2, sizes["W"]
    return {a.name: drawn[a.name] for a in schema.operation(op).attrs}
