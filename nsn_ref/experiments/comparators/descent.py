"""Gradient descent for methods that give their gradients themselves.

Optimiser, clipping, schedule and batches are those of `nsn_ref.training.train`; a test holds the two to the same bits.
"""

from typing import NamedTuple

import numpy as np

from nsn_ref import kernels
from nsn_ref.experiments.digits import NESTED
from nsn_ref.training import samplers
from nsn_ref.training.clipping import clip_by_global_norm
from nsn_ref.training.step import rates

DECAYING = (".A", ".B", ".W")


class Gradients(NamedTuple):
    """What a method's step asks for."""

    grads: dict  # str to ndarray; parameters that are not named stay as they are
    multiply_adds: int  # of one row in this step
    where: dict = {}  # noqa: RUF012  # str to index: the part of a parameter that is updated; default: all of it


def initial(net, seed):
    """The parameters that a training of `net` starts from."""
    return net.init(samplers.generator(seed, "parameters"))


def descend(params, gradients, split, setting, seed):
    """Train by AdamW.

    Parameters
    ----------
    params : dict of str to ndarray
        At the start; not changed.
    gradients : callable
        ``gradients(params, x, labels, rng, progress) -> Gradients`` for one batch; `rng` is the step's own source of
        random choices, `progress` the share of the steps that are done.
    split : Split
    setting : Setting
    seed : int

    Returns
    -------
    params : dict of str to ndarray
    training : int
        Multiply-adds.

    Raises
    ------
    NonFiniteError
        The training diverged.
    """
    config = setting.config(split, seed, lr_s=NESTED["lr_s"])
    params = {name: p.copy() for name, p in params.items()}
    m, v = ({name: np.zeros_like(p) for name, p in params.items()} for _ in range(2))
    batches, training = setting.batches(split, seed), 0
    for step, rows in enumerate(batches):
        x, labels = split.x_train[rows], split.y_train[rows]
        asked = gradients(params, x, labels, samplers.generator(seed, "ranks", step), step / len(batches))
        training += len(rows) * asked.multiply_adds
        lr, lr_s = rates(config, step, len(batches))
        weights = {name: g for name, g in asked.grads.items() if name != "s"}
        clipped, _ = clip_by_global_norm(weights, config.clip)
        for name, g in (asked.grads | clipped).items():
            at = asked.where.get(name, ...)
            p, m[name][at], v[name][at] = kernels.adamw_step(
                params[name][at], g[at], m[name][at], v[name][at], step + 1, lr=lr_s if name == "s" else lr,
                beta1=config.beta1, beta2=config.beta2, eps=config.eps,
                weight_decay=config.weight_decay if name.endswith(DECAYING) else 0.0,
            )  # fmt: skip
            params[name][at] = p
    return params, training
