"""A net's operation taken apart: its stages in the order of computation, each made of operations of the protocol.

A stage gets its inputs by name from the case's inputs and the tensors of earlier stages, and a function that runs one
operation. So the same list serves to recompute each stage on a port's own intermediates (`local`), and to feed a port
stage by stage with the true values (`bisect`).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nsn_ref.nets.layers import ACTIVATIONS
from nsn_ref.scalars import number, zeros

NETS = {
    "mlp_forward": ("forward",),
    "mlp_loss_and_grads": ("forward", "backward"),
    "mlp_step": ("forward", "backward", "optimizer"),
    "convnet_step": ("forward", "backward", "optimizer"),
}
LABELS = {"targets": "labels", "reduction": "mean", "ignore_index": -100, "label_smoothing": 0.0}


class Stage(NamedTuple):
    """Some tensors, and how they follow from others."""

    what: str
    outputs: tuple
    run: Callable  # (call, tensors) to a dict of the outputs; call is (op, inputs, attrs) to a dict


def stages(op, attrs):
    """The stages of a net's operation; none for any other.

    Parameters
    ----------
    op : str
    attrs : dict

    Returns
    -------
    list of Stage
    """
    if op not in NETS:
        return []
    net = _Net(attrs, op.startswith("convnet"))
    return [stage for part in NETS[op] for stage in getattr(net, part)()]


class _Net:
    """Makers of stages, for the attributes of one case."""

    def __init__(self, attrs, convolutional):
        self.attrs, self.convolutional, self.depth = attrs, convolutional, attrs["depth"]
        self.one = "rank" in attrs  # then there is no axis of the ranks
        self.ranks = [attrs["rank"]] if self.one else attrs["ranks"]
        self.stem, options = ACTIVATIONS[attrs["activation"]]
        self.activation = {"approximate": options.get("approximate", "none")} if self.stem == "gelu" else {}

    # --- forward ------------------------------------------------------------------------------------------------------

    def forward(self):
        """Layers and activations up to the logits, and the losses if there are labels."""
        made = []
        for i in range(self.depth):
            made.append(self._layer(i))
            if i < self.depth - 1:
                made.append(self._activated(i))
        return made

    def _layer(self, i):
        stem, names = self._kind(i)
        out = "logits" if i == self.depth - 1 else f"z.{i}"
        inner = (f"h.{i}",) if "A" in names else ()

        def run(call, t):
            results = [
                call(
                    f"{stem}_forward",
                    {"x": self._source(call, t, i, k), **_parameters(t, i, names)},
                    self._at(stem, r, t),
                )
                for k, r in enumerate(self.ranks)
            ]
            made = {out: self._joined([result["y"] for result in results])}
            if inner and all("h" in result for result in results):
                made[inner[0]] = self._joined(_spread([result["h"] for result in results], self.ranks, stem))
            return made

        return Stage(f"{stem}_forward of layers.{i}", (*inner, out), run)

    def _kind(self, i):
        """The stem of a layer's operation, and the names of its parameters."""
        last = i == self.depth - 1
        if last and self.attrs["head"] == "dense":
            return "dense", "Wb"
        return "nested_conv2d" if self.convolutional and not last else "nested_linear", "ABb"

    def _at(self, stem, rank, t):
        """Attributes of a layer's operation; images keep their size."""
        if stem == "nested_conv2d":
            margin = t["param.layers.0.A"].shape[-1] // 2
            return {"rank": rank, "stride": [1, 1], "padding": [margin, margin]}
        return {} if stem == "dense" else {"rank": rank}

    def _source(self, call, t, i, k):
        """Input of layer i at the k-th rank: of a net of convolutions the pooled activation."""
        if i == 0:
            return t["x"]
        a = self._of(t[f"a.{i - 1}"], k)
        if not self.convolutional:
            return a
        pooled = call("average_pool2d_forward", {"x": a}, {"size": self._window(a, i)})["y"]
        return pooled.reshape(pooled.shape[:2]) if i == self.depth - 1 else pooled

    def _window(self, a, i):
        """The pool before layer i: global before the head."""
        return list(a.shape[2:]) if i == self.depth - 1 else [2, 2]

    def _activated(self, i):
        def run(call, t):
            return {f"a.{i}": call(f"{self.stem}_forward", {"z": t[f"z.{i}"]}, self.activation)["y"]}

        return Stage(f"{self.stem}_forward after layers.{i}", (f"a.{i}",), run)

    # --- losses, objective, backward ----------------------------------------------------------------------------------

    def backward(self):
        """Losses, total, and every gradient, from the last layer to the first."""
        made = [
            Stage("softmax_cross_entropy_forward", ("losses",), self._losses),
            Stage("objective_forward", ("w", "total"), self._objective),
            Stage("objective_backward", ("grad.s",), self._log_variances),
            Stage("softmax_cross_entropy_backward", ("dlogits",), self._dlogits),
        ]
        for i in reversed(range(self.depth)):
            if i < self.depth - 1:
                made.append(self._through_activation(i))
            made.append(self._layer_back(i))
        return made

    def _losses(self, call, t):
        each = [
            call("softmax_cross_entropy_forward", {"z": z, "targets": t["targets"]}, LABELS)["loss"]
            for z in t["logits"]
        ]
        return {"losses": np.stack([np.asarray(loss) for loss in each])}

    def _objective(self, call, t):
        return call("objective_forward", self._of_objective(t), self._objective_attrs())

    def _log_variances(self, call, t):
        one = zeros((), t["losses"])
        one[()] = number(1, t["losses"])
        made = call("objective_backward", {**self._of_objective(t), "dtotal": one}, self._objective_attrs())
        return {"grad.s": made["ds"]}

    def _of_objective(self, t):
        return {"losses": t["losses"], "s": t["param.s"]}

    def _objective_attrs(self):
        return {name: self.attrs[name] for name in ("ranks", "variant")}

    def _dlogits(self, call, t):
        each = [
            call(
                "softmax_cross_entropy_backward",
                {"z": z, "targets": t["targets"], "dloss": t["w"][k : k + 1].reshape(())},
                LABELS,
            )["dz"]
            for k, z in enumerate(t["logits"])
        ]
        return {"dlogits": np.stack(each)}

    def _through_activation(self, i):
        def run(call, t):
            inputs = {"z": t[f"z.{i}"], "dy": t[f"da.{i}"]}
            return {f"dz.{i}": call(f"{self.stem}_backward", inputs, self.activation)["dz"]}

        return Stage(f"{self.stem}_backward after layers.{i}", (f"dz.{i}",), run)

    def _layer_back(self, i):
        stem, names = self._kind(i)
        cotangent = "dlogits" if i == self.depth - 1 else f"dz.{i}"
        grads = tuple(f"grad.layers.{i}.{name}" for name in names)

        def run(call, t):
            dxs, sums = [], [0] * len(names)
            for k, r in enumerate(self.ranks):
                inputs = {"x": self._source(call, t, i, k), **_parameters(t, i, names), "dy": t[cotangent][k]}
                made = call(f"{stem}_backward", inputs, self._at(stem, r, t))
                sums = [total + made[f"d{name}"] for total, name in zip(sums, names, strict=True)]
                dxs.append(self._before_pool(call, t, i, k, made["dx"]) if i else None)
            return dict(zip(grads, sums, strict=True)) | ({f"da.{i - 1}": np.stack(dxs)} if i else {})

        return Stage(f"{stem}_backward of layers.{i}", ((f"da.{i - 1}",) if i else ()) + grads, run)

    def _before_pool(self, call, t, i, k, dx):
        if not self.convolutional:
            return dx
        a = t[f"a.{i - 1}"][k]
        dy = dx.reshape(*dx.shape, 1, 1) if i == self.depth - 1 else dx
        return call("average_pool2d_backward", {"x": a, "dy": dy}, {"size": self._window(a, i)})["dx"]

    # --- optimiser ----------------------------------------------------------------------------------------------------

    def optimizer(self):
        """AdamW of each parameter."""
        layers = [f"layers.{i}.{name}" for i in range(self.depth) for name in self._kind(i)[1]]
        return [self._adamw(key) for key in (*layers, "s")]

    def _adamw(self, key):
        hyper = {name: self.attrs[name] for name in ("t", "lr", "beta1", "beta2", "eps", "weight_decay")}
        hyper |= {"weight_decay": 0.0} if key == "s" else {}

        def run(call, t):
            before = {"p": t[f"param.{key}"], "g": t[f"grad.{key}"], "m": t[f"m.{key}"], "v": t[f"v.{key}"]}
            made = call("adamw_step", before, hyper)
            return {f"param.{key}": made["p"], f"m.{key}": made["m"], f"v.{key}": made["v"]}

        return Stage(f"adamw_step of {key}", tuple(f"{prefix}.{key}" for prefix in ("param", "m", "v")), run)

    # --- axis of the ranks --------------------------------------------------------------------------------------------

    def _of(self, x, k):
        return x if self.one else x[k]

    def _joined(self, parts):
        return parts[0] if self.one else np.stack(parts)


def _parameters(t, i, names):
    return {name: t[f"param.layers.{i}.{name}"] for name in names}


def _spread(hs, ranks, stem):
    """Bottlenecks of different ranks in one shape: zeros from component r + 1 on."""
    axis = 1 if stem == "nested_conv2d" else -1
    out = []
    for h, r in zip(hs, ranks, strict=True):
        wide = zeros((*h.shape[:axis], max(ranks), *(h.shape[2:] if axis == 1 else ())), h)
        np.moveaxis(wide, axis, -1)[..., :r] = np.moveaxis(h, axis, -1)
        out.append(wide)
    return out
