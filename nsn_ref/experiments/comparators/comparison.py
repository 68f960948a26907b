"""All methods side by side: accuracy at each budget, what a prediction costs, what the training cost."""

import time

import numpy as np

from nsn_ref.experiments.comparators.latency import ROWS, seconds
from nsn_ref.experiments.comparators.methods import METHODS, module
from nsn_ref.experiments.comparators.setting import Setting
from nsn_ref.experiments.data import split
from nsn_ref.experiments.experiment import Experiment

FORMS = {
    "smoke": {"R": 4, "hidden": [16, 16], "epochs": 1},
    "quick": {"R": 64, "hidden": [128, 128], "epochs": 60},
    "full": {"R": 64, "hidden": [128, 128], "epochs": 120},
}


def cells(form):
    """One for each method."""
    return [FORMS[form] | {"method": name} for name in METHODS]


def run(data, options, seed):
    """Train one method, and look at each of its members.

    Entries that have one value for each budget are lists, in the order of the ranks.
    """
    rows = split(data, seed)
    R = options["R"]
    ranks = (*(1 << k for k in range((R - 1).bit_length())), R)
    setting = Setting(data.x.shape[1], data.classes, options["hidden"], ranks, options["epochs"])
    began = time.perf_counter()
    family = module(options["method"]).train(rows, setting, seed)
    trained = time.perf_counter() - began
    batch = np.resize(rows.x_test, (ROWS, setting.d_in))
    predictors = [member.predictor() for member in family.members]
    return {
        "ranks": list(ranks),
        "widths": list(setting.widths),
        "flops": [2 * member.multiply_adds for member in family.members],
        "accuracy": [member.accuracy(rows.x_test, rows.y_test) for member in family.members],
        "training_flops": 2 * family.training,
        "stored": family.stored,
        "seconds": {
            "training": trained,
            "row": [seconds(predict, batch[:1], calls=100) for predict in predictors],
            "batch": [seconds(predict, batch, calls=10) for predict in predictors],
        },
    }


EXPERIMENT = Experiment(
    name="comparators",
    title="NSN and its rivals",
    summary="one network for many budgets, trained in many ways: accuracy against FLOPs and against wall-clock",
    source="ours",
    cells=cells,
    seeds={"smoke": 2, "quick": 5, "full": 15},
    run=run,
)
