"""One step of training, as a pure function from state to state."""

import math
from typing import NamedTuple

import numpy as np

from nsn_ref import scalars
from nsn_ref.errors import DivergedError, NonFiniteError
from nsn_ref.nets.loss_and_grads import loss_and_grads
from nsn_ref.training import samplers
from nsn_ref.training.clipping import clip_by_global_norm
from nsn_ref.training.schedules import learning_rate

GROUPS = ("params", "m", "v", "objective")


class TrainState(NamedTuple):
    """Everything that a step changes."""

    step: int  # steps done
    params: dict  # str to ndarray
    m: dict  # first moment, or momentum, by parameter
    v: dict  # second moment by parameter; empty for sgd
    objective: dict  # state of the objective

    def arrays(self):
        """All arrays under names that say which group they belong to."""
        return {f"{group}/{name}": array for group in GROUPS for name, array in getattr(self, group).items()}

    @classmethod
    def from_arrays(cls, step, arrays):
        """The state that `arrays` gave."""
        groups = {group: {} for group in GROUPS}
        for name, array in arrays.items():
            group, _, key = name.partition("/")
            groups[group][key] = array
        return cls(step, **groups)


class StepRecord(NamedTuple):
    """What is known of a step once it is done."""

    lr: float
    ranks: tuple
    losses: np.ndarray  # (K,), before the step
    total: float
    grad_norm: float  # before clipping, the log-variances left out


def start(net, config, params=None):
    """The state at step 0: the parameters given, or drawn from the seed."""
    if params is None:
        params = net.init(samplers.generator(config.seed, "parameters"), config.dtype, config.initialisation)
    else:
        params = {name: params[name].astype(config.dtype) for name in net.shapes()}
    # pages of `zeros`, unlike those of `zeros_like`, take no memory until something is written to them
    m, v = ({name: np.zeros(p.shape, p.dtype) for name, p in params.items()} for _ in range(2))
    objective = config.objective.start(net.R, np.zeros(net.R, config.dtype))
    return TrainState(0, params, m, v if config.optimizer == "adamw" else {}, objective)


def train_step(net, config, state, x, targets, ranks, steps, engine):
    """One step on one batch.

    Parameters
    ----------
    net : Chain
    config : TrainConfig
    state : TrainState
    x, targets : ndarray
        The batch.
    ranks : tuple of int
        The anchor, then its variants.
    steps : int
        Length of the whole training, for the schedule.
    engine : Engine

    Returns
    -------
    state : TrainState
        The next one; the one given is not changed.
    record : StepRecord

    Raises
    ------
    DivergedError
        A loss, a gradient, something on the way to them, or a parameter after the step is not finite.
    """
    lr, lr_s = rates(config, state.step, steps)
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is looked for
            out, grads, norm = _gradients(net, config, state, x, targets, ranks, engine)
            updated = {
                name: _update(config, engine.optimizers, state, name, grads[name], lr_s if name == "s" else lr)
                for name in state.params
            }
        params, m, v = ({name: result[i] for name, result in updated.items()} for i in range(3))
        net.check("after the update", params)
    except NonFiniteError as error:
        raise DivergedError(f"train: diverged at step {state.step + 1}: {error}") from error
    state = TrainState(state.step + 1, params, m, v if config.optimizer == "adamw" else {}, out.state)
    return state, StepRecord(lr, ranks, out.losses, float(out.total), norm)


def rates(config, step, steps):
    """Learning rates of one step: of the parameters, and of the log-variances."""
    options = {"schedule": config.schedule, "steps": steps, "warmup_steps": config.warmup_steps}
    lr = learning_rate(step, lr=config.lr, **options)
    return lr, lr if config.lr_s is None else learning_rate(step, lr=config.lr_s, **options)


def check_losses(ranks, losses, total):
    """Check that the losses and their total are finite.

    Raises
    ------
    NonFiniteError
    """
    if not (math.isfinite(total) and scalars.isfinite(losses)):
        raise NonFiniteError(f"the losses at ranks {ranks} are {losses}, their total {total}")


def _gradients(net, config, state, x, targets, ranks, engine):
    """The losses, the gradients after clipping, and their norm before it, all finite."""
    out = loss_and_grads(
        net, state.params, x, targets, ranks, loss=config.loss, objective=config.objective, state=state.objective,
        regularisers=config.regularisers, stop_anchor=config.stop_anchor, ops=engine.ops,
    )  # fmt: skip
    check_losses(ranks, out.losses, out.total)
    weights = {name: g for name, g in out.grads.items() if name != "s"}
    clipped, norm = clip_by_global_norm(weights, config.clip)
    return out, out.grads | clipped, norm


def _update(config, optimizers, state, name, g, lr):
    """The next parameter, first and second moment."""
    p, m = state.params[name], state.m[name]
    decay = config.weight_decay if name.endswith((".A", ".B", ".W")) else 0.0
    if config.optimizer == "sgd":
        return *optimizers.sgd_step(p, g, m, lr=lr, momentum=config.momentum, weight_decay=decay), None
    options = {"beta1": config.beta1, "beta2": config.beta2, "eps": config.eps}
    return optimizers.adamw_step(p, g, m, state.v[name], state.step + 1, lr=lr, weight_decay=decay, **options)
