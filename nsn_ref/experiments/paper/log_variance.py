"""The learned log-variances of Eq. 3 during training and at its end, against their optimum s_k = ln L_k."""

import numpy as np

from nsn_ref.analysis.frontier import log_variances
from nsn_ref.experiments.data import split
from nsn_ref.experiments.experiment import Experiment
from nsn_ref.experiments.paper import recipe
from nsn_ref.experiments.paper.recipe import SEEDS, SETTINGS, fit_nested, trained_ranks

LEARNING_RATES = (0.001, 0.005, SETTINGS["lr"])  # of the log-variances; the paper does not say whether they have one
POINTS = 24  # of the curves


def cells(form):
    """One for each learning rate of the log-variances."""
    return recipe.cells(form, [{"lr_s": lr} for lr in LEARNING_RATES])


def run(data, options, seed):
    """Log-variances over the training, and the losses at its end on the rows trained on and on those held out."""
    rows, ranks = split(data, seed), trained_ranks(options["R"])
    trained = fit_nested(data, rows, options, seed, lr_s=options["lr_s"])
    steps, s = log_variances(trained)
    shown = np.unique(np.linspace(0, len(steps) - 1, POINTS).round().astype(int))
    return {
        "steps": steps[shown].tolist(),
        "s": {str(r): s[shown, r - 1].tolist() for r in ranks},
        "trained_on": recipe.losses(trained, rows.x_train, rows.y_train, ranks),
        "held_out": recipe.losses(trained, rows.x_test, rows.y_test, ranks),
    }


EXPERIMENT = Experiment(
    name="log-variance",
    title="Learned log-variances",
    summary="the log-variances of Eq. 3 during training and at its end, against the logarithm of the loss",
    source="Fig. 3",
    cells=cells,
    seeds=SEEDS,
    run=run,
)
