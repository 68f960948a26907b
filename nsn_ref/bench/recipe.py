"""The recipe of `nsn-ref train digits`, for every engine that follows it."""

import functools
from typing import NamedTuple

import numpy as np

from nsn_ref.experiments import digits_data
from nsn_ref.experiments.digits import HIDDEN, NESTED, SETTINGS, R
from nsn_ref.nets.mlp import MLP
from nsn_ref.training import samplers
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.curricula import step_ranks
from nsn_ref.training.step import rates

VARIANTS = (1, 2, 4, 8, 16)  # powers of two below R
COMPARED = 5  # first steps whose losses are compared


class Batch(NamedTuple):
    """What a step of the recipe is given."""

    rows: np.ndarray
    ranks: tuple
    lr: float
    lr_s: float


@functools.cache
def scans():
    """The split that the command trains on."""
    x, labels = digits_data.load_scans()
    return digits_data.split(x, labels, digits_data.stratified_folds(labels, 5, np.random.default_rng(0))[0])


def network():
    """The network of the command."""
    return MLP((digits_data.WIDTH, *HIDDEN, digits_data.CLASSES), R)


def config(epochs, engine="numba"):
    """The options of the command, for some number of epochs; a short run warms up for a tenth of it."""
    steps = epochs * samplers.steps_per_epoch(len(scans().x_train), SETTINGS["batch_size"])
    length = {"epochs": epochs, "warmup_steps": min(SETTINGS["warmup_steps"], steps // 10)}
    return TrainConfig(**SETTINGS | NESTED | length, variants=VARIANTS, engine=engine)


def batches(options):
    """Rows, ranks and learning rates of every step, drawn as `nsn_ref.train` draws them."""
    n = len(scans().x_train)
    steps = options.total_steps(samplers.steps_per_epoch(n, options.batch_size))
    anchor, variants = options.trained_ranks(R)
    for step in range(steps):
        u = samplers.generator(options.seed, "ranks", step).random()
        ranks = step_ranks(options.curriculum, step, steps, variants, anchor, u)
        yield Batch(samplers.batch(options.seed, step, n, options.batch_size), ranks, *rates(options, step, steps))


def outcome(losses, params):
    """The losses of the first steps, one after another; then the accuracy on the held-out scans at rank R."""
    z, _ = network().forward(params, scans().x_test, R)
    return [*(float(loss) for step in losses[:COMPARED] for loss in step), accuracy(z.argmax(axis=-1))]


def accuracy(predicted):
    """Share of the held-out scans that are right."""
    return float(np.mean(predicted == scans().y_test))
