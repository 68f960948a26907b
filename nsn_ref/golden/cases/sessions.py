"""Sessions: several calls on one port object. Nothing of an earlier call may show in a later one.

Every call has complete inputs, so a port that keeps nothing passes. One that keeps weights, products or gradients must
notice that they changed. Steps of a trajectory start from the golden state of the step before, rounded to the format.
"""

import functools
from typing import NamedTuple

import numpy as np

from nsn_ref.golden import schema
from nsn_ref.golden.cases import nets, weights
from nsn_ref.golden.cases.case import ALL, NO_PRODUCTS, PREFIXES, Design, dtype_of
from nsn_ref.golden.cases.draws import rising
from nsn_ref.golden.cases.mlp_step import ADAMW
from nsn_ref.golden.evaluate import evaluate, reference
from nsn_ref.golden.groups import group, name_groups

NET = nets.Net(5, (7, 11, 3), 13, activation="gelu_tanh", shift=-1.0)


class Call(NamedTuple):
    """One call of a session; what its inputs are is up to the session's function."""

    op: str
    attrs: dict
    flag: str
    why: str


# --- training: evaluate, train, evaluate again ------------------------------------------------------------------------

_FORWARD = {"rank": 3} | NET.attrs
_BACK = {"ranks": [5, 2]} | NET.attrs | {"variant": "uncertainty"}


def _step(ranks, t):
    return {"ranks": ranks} | NET.attrs | {"variant": "uncertainty"} | ADAMW | {"t": t}


TRAINING = (
    Call("mlp_forward", _FORWARD, "first call", "The session's first evaluation; what follows must not depend on it."),
    Call("mlp_step", _step([11, 4], 7), "state of an evaluation",
         "A step after an evaluation uses its activations, or works at its rank."),
    Call("mlp_forward", _FORWARD, "weights kept from before the step",
         "The same inputs at the same rank as before, but new parameters: a product B A was kept."),
    Call("mlp_step", _step([5, 2], 8), "moments kept by the port",
         "The optimiser's state is the caller's; a port that keeps its own, or its own t, is one step off."),
    Call("mlp_loss_and_grads", _BACK, "accumulated gradients",
         "The batch of the step before: gradients are added to those that are there instead of replacing them."),
    Call("mlp_forward", _FORWARD, "loaded parameters", "Parameters from elsewhere were loaded; the old ones are used."),
    Call("mlp_forward", {"rank": 9} | NET.attrs, "another rank", "The first parameters again, at another rank."),
)  # fmt: skip


def training(rng, dtype):
    """Inputs of the calls of TRAINING."""
    first = nets.draw(NET, [11], True, rng, dtype)
    batches = [rng.standard_normal((NET.n, NET.widths[0])) for _ in range(3)]
    params, m, v = (group(first, prefix) for prefix in ("param", "m", "v"))
    step = {"x": batches[1], "targets": first["targets"]} | name_groups(params, m, v)
    after = golden_state("mlp_step", TRAINING[1].attrs, step, dtype)
    again = {"x": batches[2], "targets": first["targets"][::-1]} | after
    loaded = nets.parameters(NET, rng)
    states = [params, group(after, "param"), loaded, params]
    forwards = [{"x": batches[0]} | {f"param.{key}": p for key, p in each.items()} for each in states]
    return forwards[0], step, forwards[1], again, again, forwards[2], forwards[3]


# --- a trajectory: each step from the golden state of the one before --------------------------------------------------

_DENSE = NET._replace(head="dense", activation="silu")
_SHAPE = {"ranks": []} | _DENSE.attrs | {"variant": "classification"} | ADAMW
TRAJECTORY = tuple(
    Call("mlp_step", _SHAPE | {"ranks": ranks, "t": t, "lr": 0.05}, flag, why)
    for ranks, t, flag, why in (
        ([9, 4], 21, "trajectory", "The first step of a trajectory in the middle of training."),
        ([9, 1], 22, "next step", "The anchor's components that the variant does not use keep an old gradient."),
        ([3, 2], 23, "smaller anchor", "Components above the new anchor keep the gradient of the step before."),
        ([13, 6], 24, "larger anchor", "Components that come into use only now get a step of their own count."),
    )
)  # fmt: skip


def trajectory(rng, dtype):
    """Inputs of the calls of TRAJECTORY."""
    state = nets.draw(_DENSE, [9], True, rng, dtype)
    inputs = []
    for call in TRAJECTORY:
        batch = {"x": rng.standard_normal((_DENSE.n, _DENSE.widths[0])), "targets": rng.integers(0, 3, _DENSE.n)}
        inputs.append({**state, **batch})
        state = golden_state(call.op, call.attrs, inputs[-1], dtype)
    return inputs


# --- one layer --------------------------------------------------------------------------------------------------------

LAYER = (
    Call("nested_linear_forward", {"rank": 5}, "first call", "The session's first call."),
    Call("nested_linear_forward", {"rank": 8}, "rank kept", "At another rank: a product was kept for all."),
    Call("nested_linear_backward", {"rank": 5}, "rank of the call", "A backward at another rank than the forward."),
    Call("nested_linear_backward", {"rank": 5}, "rank of the call", "A backward at another rank than the forward."),
    Call("nested_linear_backward", {"rank": 2}, "stale components", "Above a smaller rank old gradients are kept."),
    Call("nested_linear_forward", {"rank": 5}, "one factor changed", "Only A has changed: an old product is used."),
    Call("multirank_linear_forward", {"ranks": [5, 8]}, "shared cache", "Another operation takes what the first kept."),
    Call("nested_linear_forward", {"rank": 5}, "other width", "A layer of other widths, with as many components."),
)  # fmt: skip


def layer(rng, dtype):
    """Inputs of the calls of LAYER."""
    first, other = _layer(3, 7, 5, rng), _layer(3, 5, 7, rng)
    changed = first | {"A": rising(rng, 11, (7,))}
    back, again = first | {"dy": rng.standard_normal((3, 5))}, first | {"dy": rng.standard_normal((3, 5))}
    return first, first, back, back, again, changed, changed, other


def _layer(n, d_in, d_out, rng):
    A, B = rising(rng, 11, (d_in,)), rising(rng, 11, (d_out,)).T.copy()
    return {"x": rng.standard_normal((n, d_in)), "A": A, "B": B, "b": rng.standard_normal(d_out)}


# --- weights of losses ------------------------------------------------------------------------------------------------

GRADNORM = (
    Call("gradnorm_targets", {"alpha": 0.7}, "first call", "The targets of one run."),
    Call("gradnorm_targets", {"alpha": 0.7}, "first losses kept", "Another run with as many losses: the first losses "
         "are the caller's, and a port that keeps those it saw first has the rates of the run before."),
)  # fmt: skip


def gradnorm(rng, dtype):
    """Inputs of the calls of GRADNORM."""
    return [weights.gradnorm(3, rng, dtype) for _ in GRADNORM]


# --- designs ----------------------------------------------------------------------------------------------------------


def golden_state(op, attrs, inputs, dtype):
    """Parameters and moments after a step, rounded to the format."""
    declared = schema.operation(op).tensors("inputs", attrs)
    stored = {name: as_stored(inputs[name], t, dtype) for name, t in declared.items()}
    outputs = evaluate(reference(), op, stored, attrs)
    return {name: as_stored(outputs[name], t, dtype) for name, t in declared.items() if name in outputs}


def as_stored(x, tensor, dtype):
    """A tensor after rounding to its format, as float64."""
    return x.astype(dtype_of(schema.stored_as(tensor, dtype))).astype(np.float64 if x.dtype.kind == "f" else x.dtype)


def _session(name, calls, draw_all, formats):
    @functools.cache
    def inputs(dtype):
        return draw_all(np.random.default_rng(list(f"session/{PREFIXES[dtype]}/{name}".encode())), dtype)

    def draw(k, rng, dtype):
        return inputs(dtype)[k]

    return tuple(
        Design(call.op, f"{name}-{k + 1}-001", "sequence", call.attrs, functools.partial(draw, k), call.flag, call.why,
               formats, name)
        for k, call in enumerate(calls)
    )  # fmt: skip


DESIGNS = (
    *_session("training", TRAINING, training, ALL),
    *_session("trajectory", TRAJECTORY, trajectory, ALL),
    *_session("layer", LAYER, layer, ALL),
    *_session("gradnorm", GRADNORM, gradnorm, NO_PRODUCTS),
)
