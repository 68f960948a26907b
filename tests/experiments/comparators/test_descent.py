"""Descent takes the steps of `training.train`, and leaves alone what a step does not ask for."""

import numpy as np
import pytest

from nsn_ref import kernels
from nsn_ref.errors import NonFiniteError
from nsn_ref.experiments.comparators.descent import Gradients, descend, initial
from nsn_ref.experiments.digits import NESTED
from nsn_ref.nets.loss_and_grads import loss_and_grads
from nsn_ref.training.engines import load_engine
from nsn_ref.training.loop import run_steps
from nsn_ref.training.step import start
from nsn_ref.training.steppers import OperationSteps


def test_steps_are_those_of_train_to_the_bit(setting, rows):
    net = setting.nested(5)
    config = setting.config(rows, 2, variants=(1, 3), **NESTED)
    stepper = OperationSteps(net, config, start(net, config), 6, load_engine("numba"))
    ranks = [stepper.last.ranks for _ in run_steps(net, (rows.x_train, rows.y_train), config, stepper)]
    drawn = iter(ranks)

    def gradients(params, x, labels, rng, progress):
        out = loss_and_grads(net, params, x, labels, next(drawn), ops=kernels)
        return Gradients(out.grads, 10)

    params, training = descend(initial(net, 2), gradients, rows, setting, 2)
    assert len(ranks) == 6 and training == 10 * 3 * 80
    assert all((params[name] == p).all() for name, p in stepper.state.params.items())
    assert (params["s"] != 0).any()


def test_only_what_a_step_asks_for_is_updated(setting, rows):
    at_start = {"layers.0.A": np.ones((5, 3), np.float32), "layers.0.b": np.ones(2, np.float32)}

    def gradients(params, x, labels, rng, progress):
        return Gradients({"layers.0.A": np.ones((5, 3), np.float32)}, 1, {"layers.0.A": (slice(1, 3),)})

    params, _ = descend(at_start, gradients, rows, setting, 0)
    assert (params["layers.0.A"][[0, 3, 4]] == 1).all() and (params["layers.0.A"][1:3] < 1).all()
    assert (params["layers.0.b"] == 1).all()
    assert (at_start["layers.0.A"] == 1).all()


def test_each_step_has_its_progress_and_a_source_of_its_own(setting, rows):
    seen = []

    def gradients(params, x, labels, rng, progress):
        seen.append((progress, rng.random()))
        return Gradients({}, 1)

    for _ in range(2):
        descend({}, gradients, rows, setting, 5)
    assert [progress for progress, _ in seen] == [k / 6 for k in range(6)] * 2
    assert seen[:6] == seen[6:] and len({u for _, u in seen}) == 6


def test_a_gradient_that_is_not_finite_is_refused(setting, rows):
    def gradients(params, x, labels, rng, progress):
        return Gradients({"layers.0.b": np.full(2, np.nan, np.float32)}, 1)

    with pytest.raises(NonFiniteError):
        descend({"layers.0.b": np.ones(2, np.float32)}, gradients, rows, setting, 0)
