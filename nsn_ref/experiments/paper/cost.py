"""Seconds against FLOPs: a step of training and a pass of inference, at every rank and of a dense network."""

import contextlib
import time

import numpy as np

from nsn_ref.analysis.cost import dense_cost
from nsn_ref.analysis.linear_layers import linear_layers, network_flops
from nsn_ref.experiments.experiment import Experiment
from nsn_ref.experiments.models import dense_mlp
from nsn_ref.experiments.paper.recipe import ALONE, EQ_3, SETTINGS, trained_ranks
from nsn_ref.nets.mlp import MLP
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.engines import load_engine
from nsn_ref.training.loop import run_steps
from nsn_ref.training.step import start
from nsn_ref.training.steppers import CompiledSteps, OperationSteps

# two networks: one so small that calls cost more than arithmetic, and one where arithmetic counts
SIZES = {
    "smoke": [{"hidden": [16, 16], "R": 8}],
    "quick": [{"hidden": [128, 128], "R": 64}, {"hidden": [1024, 1024], "R": 512}],
    "full": [{"hidden": [128, 128], "R": 64}, {"hidden": [2048, 2048], "R": 1024}],
}
STEPS, PASSES, ROWS = 30, 15, 256  # measured; the first steps and passes are not


def cells(form):
    """One for each network and way to run it."""
    ways = (
        {"what": "training"},
        {"what": "inference", "multiply_out": False},
        {"what": "inference", "multiply_out": True},
    )
    return [size | way for size in SIZES[form] for way in ways]


def run(data, options, seed):
    """FLOPs of one row, and median seconds: by rank, of a training with Eq. 3 ("nested") and of a dense network."""
    net = MLP((data.x.shape[1], *options["hidden"], data.classes), options["R"])
    layers = linear_layers(net, data.x.shape)
    flops = {str(r): network_flops(layers, r) for r in trained_ranks(net.R)} | {"dense": dense_cost(layers).flops}
    measured = _training if options["what"] == "training" else _inference
    return {"flops": flops, "seconds": measured(net, data, options, seed)}


def _training(net, data, options, seed):
    """Seconds of a step: at each rank alone, with Eq. 3 at R and a variant, and dense.

    All take the operations one by one, as a network without factors has no compiled step.
    """
    ranks = trained_ranks(net.R)
    alone = {str(r): _step(OperationSteps, net, data, seed, anchor=r, **ALONE) for r in ranks}
    nested, compiled = (
        _step(stepper, net, data, seed, variants=ranks[:-1], **EQ_3) for stepper in (OperationSteps, _compiled)
    )
    dense = _step(OperationSteps, dense_mlp(net.widths), data, seed, **ALONE)
    return alone | {"nested": nested, "nested, compiled": compiled, "dense": dense}


def _step(stepper, net, data, seed, **changes):
    config = TrainConfig(steps=2 * STEPS, seed=seed, **SETTINGS | changes)
    engine, x = load_engine(config.engine), data.x.astype(config.dtype)
    with contextlib.closing(stepper(net, config, start(net, config), config.steps, engine)) as steps:
        times = [time.perf_counter() for _ in run_steps(net, (x, data.y), config, steps)]
    return float(np.median(np.diff(times)[-STEPS:]))


def _compiled(net, config, state, steps, engine):
    return CompiledSteps(net, config, state, steps, (config.batch_size, net.widths[0]))


def _inference(net, data, options, seed):
    """Seconds of a pass of `ROWS` rows at each rank, and dense."""
    from nsn_ref.inference import Predictor

    rng = np.random.default_rng(seed)
    x = rng.standard_normal((ROWS, data.x.shape[1]), dtype=np.float32)
    params, dense = net.init(rng), dense_mlp(net.widths)
    calls = {str(r): Predictor(net, params, r, multiply_out=options["multiply_out"]) for r in trained_ranks(net.R)}
    calls["dense"] = Predictor(dense, dense.init(rng), 1)
    times = {name: [] for name in calls}
    for _ in range(2 * PASSES):
        for name, call in calls.items():  # in turns, so that what else runs on the machine slows all alike
            began = time.perf_counter()
            call(x)
            times[name].append(time.perf_counter() - began)
    return {name: float(np.median(each[PASSES:])) for name, each in times.items()}


EXPERIMENT = Experiment(
    name="cost",
    title="Seconds against FLOPs",
    summary="a step of training and a pass of inference, at every rank and of a dense network",
    source="ours",
    cells=cells,
    seeds={"smoke": 2, "quick": 5, "full": 10},
    run=run,
)
