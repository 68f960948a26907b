"""Learning rates as pure functions of the step, which counts from 0."""

import math

from nsn_ref import checks

SCHEDULES = ("constant", "cosine")


def learning_rate(step, *, schedule, lr, steps, warmup_steps=0, final=0.0):
    """The rate of one step: a linear rise over the warm-up, then the schedule over the steps that remain.

    Parameters
    ----------
    step : int, in 0..steps - 1
    schedule : {"constant", "cosine"}
    lr : float, >= 0
        The highest rate.
    steps : int, >= 1
        Steps in all, the warm-up among them.
    warmup_steps : int, in 0..steps
    final : float, in [0, lr]
        What "cosine" falls to.

    Returns
    -------
    float

    Raises
    ------
    OptionError
    """
    name = "learning_rate"
    checks.choice(name, "schedule", schedule, SCHEDULES)
    checks.integer(name, "steps", steps, 1)
    checks.integer(name, "step", step, 0, steps - 1)
    checks.integer(name, "warmup_steps", warmup_steps, 0, steps)
    if step < warmup_steps:
        return warmup(step, lr=lr, steps=warmup_steps)
    if schedule == "constant":
        return constant(step, lr=lr)
    return cosine(step - warmup_steps, lr=lr, steps=steps - warmup_steps, final=final)


def constant(step, *, lr):
    """The same rate at every step.

    Raises
    ------
    OptionError
    """
    checks.integer("constant", "step", step, 0)
    _rate("constant", lr)
    return lr


def warmup(step, *, lr, steps):
    """Linear rise: lr / steps at step 0, lr at step steps - 1 and after.

    No step has the rate 0: it would be a step in vain.

    Raises
    ------
    OptionError
    """
    checks.integer("warmup", "step", step, 0)
    checks.integer("warmup", "steps", steps, 1)
    _rate("warmup", lr)
    return lr * min((step + 1) / steps, 1.0)


def cosine(step, *, lr, steps, final=0.0):
    """Half a cosine wave: lr at step 0, `final` at step `steps` (one past the last) and after.

    Raises
    ------
    OptionError

    Notes
    -----
    Source: Loshchilov & Hutter, arXiv:1608.03983, Eq. 5, without restarts.
    """
    checks.integer("cosine", "step", step, 0)
    checks.integer("cosine", "steps", steps, 1)
    _rate("cosine", lr)
    checks.between("cosine", "final", final, 0, lr)
    fraction = min(step / steps, 1.0)
    return final + (lr - final) * (1 + math.cos(math.pi * fraction)) / 2


def _rate(function, lr):
    checks.between(function, "lr", lr, 0)
