"""One operation of the port protocol, run by an engine: the reference, the kernels, or the envelope of bounds."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nsn_ref.nets.loss_and_grads import loss_and_grads
from nsn_ref.nets.mlp import MLP


class Engine(NamedTuple):
    """Who computes."""

    ops: object  # a module or object with the names of `nsn_ref.ops`
    adamw_step: Callable


def reference():
    """The reference, over every number system."""
    from nsn_ref import ops
    from nsn_ref.training.optimizers import adamw_step

    return Engine(ops, adamw_step)


def evaluate(engine, op, inputs, attrs):
    """Outputs of an operation by name, intermediates included.

    Parameters
    ----------
    engine : Engine
    op : str
        One of `nsn_ref.golden.schema.OPERATIONS`.
    inputs : dict of str to ndarray
        In the number system to compute in; labels are integers.
    attrs : dict

    Returns
    -------
    dict of str to ndarray or number
    """
    return _RUN[op](engine, inputs, attrs)


def _nested_linear_forward(engine, inputs, attrs):
    y, saved = engine.ops.nested_linear_forward(*_layer(inputs), attrs["rank"])
    return {"y": y, "h": saved.h}


def _nested_linear_backward(engine, inputs, attrs):
    _, saved = engine.ops.nested_linear_forward(*_layer(inputs), attrs["rank"])
    grads = engine.ops.nested_linear_backward(inputs["dy"], saved)
    return dict(zip(("dx", "dA", "dB", "db"), grads, strict=True))


def _multirank_linear_forward(engine, inputs, attrs):
    ys, saved = engine.ops.multirank_linear_forward(*_layer(inputs), attrs["ranks"])
    return {"ys": ys, "h": saved.h}


def _multirank_linear_backward(engine, inputs, attrs):
    _, saved = engine.ops.multirank_linear_forward(*_layer(inputs), attrs["ranks"])
    grads = engine.ops.multirank_linear_backward(inputs["dys"], saved)
    return dict(zip(("dx", "dA", "dB", "db"), grads, strict=True))


def _layer(inputs):
    return (inputs[name] for name in ("x", "A", "B", "b"))


def _objective_forward(engine, inputs, attrs):
    total, saved = engine.ops.objective_forward(inputs["losses"], inputs["s"], attrs["ranks"], variant=attrs["variant"])
    return {"total": total, "w": saved.w}


def _objective_backward(engine, inputs, attrs):
    _, saved = engine.ops.objective_forward(inputs["losses"], inputs["s"], attrs["ranks"], variant=attrs["variant"])
    dlosses, ds = engine.ops.objective_backward(inputs["dtotal"][()], saved)
    return {"dlosses": dlosses, "ds": ds}


def _mlp_step(engine, inputs, attrs):
    params, m, v = (_group(inputs, prefix) for prefix in ("param", "m", "v"))
    ranks, objective = attrs["ranks"], attrs["variant"]
    out = loss_and_grads(
        mlp(params, attrs), params, inputs["x"], inputs["targets"], ranks, objective=objective, ops=engine.ops
    )
    step = {name: attrs[name] for name in ("lr", "beta1", "beta2", "eps")}
    named = {"logits": out.logits, "losses": out.losses, "total": out.total}
    for key, g in out.grads.items():
        decay = 0.0 if key == "s" else attrs["weight_decay"]
        new = engine.adamw_step(params[key], g, m[key], v[key], attrs["t"], weight_decay=decay, **step)
        named |= {f"grad.{key}": g, f"param.{key}": new.p, f"m.{key}": new.m, f"v.{key}": new.v}
    return named


def mlp(params, attrs):
    """The network of an mlp_step: its sizes are those of the parameters."""
    (R, d_in), width = params["layers.0.A"].shape, len(params["layers.0.b"])
    widths = d_in, width, len(params["layers.1.b"])
    return MLP(widths, R, (True, attrs["head"] == "nested"), attrs["activation"])


def _group(inputs, prefix):
    return {name.removeprefix(f"{prefix}."): x for name, x in inputs.items() if name.startswith(f"{prefix}.")}


_RUN = {
    "nested_linear_forward": _nested_linear_forward,
    "nested_linear_backward": _nested_linear_backward,
    "multirank_linear_forward": _multirank_linear_forward,
    "multirank_linear_backward": _multirank_linear_backward,
    "objective_forward": _objective_forward,
    "objective_backward": _objective_backward,
    "mlp_step": _mlp_step,
}


def as_arrays(outputs):
    """Outputs as arrays, scalars with shape ()."""
    return {name: np.asarray(value) for name, value in outputs.items()}
