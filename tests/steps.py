"""What the tests of compiled steps share: problems, and the bounds that results are held to."""

import contextlib

import numpy as np
from helpers import random_params

from nsn_ref.certify import balls, rounding
from nsn_ref.errors import NeedMorePrecision
from nsn_ref.kernels.step import adamw_rates, make_step
from nsn_ref.nets.loss_and_grads import loss_and_grads

STILL = adamw_rates(1, lr=0.0)


def problem(rng, net, shape, dtype):
    """Parameters, a batch of the given shape, and labels."""
    params = {name: p.astype(dtype) for name, p in random_params(rng, net).items()}
    x = rng.standard_normal(shape).astype(dtype)
    return params, x, rng.integers(0, net.logits_shape(shape)[-1], len(x))


def loaded(net, params, shape, m=None, v=None, **options):
    """The step of a network for batches of at most this shape, with these parameters and moments."""
    step = make_step(net, params["s"].dtype, shape, **options)
    zeros = {name: np.zeros_like(p) for name, p in params.items()}
    step.load(params, zeros if m is None else m, zeros if v is None else v)
    return step


def certified_problem(rng, net, ranks, shape, dtype):
    """A problem, its truth, and the bounds of the reference; drawn again where rounding may move a relu across zero."""
    while True:
        params, x, labels = problem(rng, net, shape, dtype)

        def reference(x, *values, labels=labels, names=tuple(params)):
            out = loss_and_grads(net, dict(zip(names, values, strict=True)), x, labels, ranks)
            return {"total": out.total, "losses": out.losses} | out.grads

        inputs = (x, *params.values())
        with contextlib.suppress(NeedMorePrecision), rounding.precision(np.dtype(dtype).name):
            bounds = reference(*map(rounding.rounded, inputs))
            return (params, x, labels), balls.certified(reference, *inputs), bounds


def assert_within_bounds(step, x, labels, ranks, truth, bounds):
    """Losses and gradients of one step within the bounds of the reference.

    Where the reference adds K sums over n rows, the step adds over K n rows: at most K times the roundings.
    """
    result = step.step(x, labels, ranks, (STILL, STILL))
    found = {"total": result.total, "losses": result.losses} | step.grads
    for key, value in found.items():
        bound = len(ranks) * rounding.errors(bounds[key]) + 2.0**-53 * np.abs(truth[key])
        assert (np.abs(value - truth[key]) <= bound).all(), key
    for key, g in step.grads.items():
        assert not key.endswith(".A") or (g[max(ranks) :] == 0).all()
        assert not key.endswith(".B") or (g[:, max(ranks) :] == 0).all()
