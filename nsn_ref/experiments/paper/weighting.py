"""How the losses of the ranks are weighed: Eq. 3, its variants, and the weights that others propose."""

from typing import NamedTuple

from nsn_ref.errors import DivergedError
from nsn_ref.experiments.data import split
from nsn_ref.experiments.experiment import Experiment
from nsn_ref.experiments.paper import recipe
from nsn_ref.experiments.paper.recipe import (
    SEEDS,
    SETTINGS,
    accuracies,
    fit_nested,
    nested_net,
    trained_ranks,
    untrained_ranks,
)
from nsn_ref.training.weighting import Objective

# name to the options of `Objective`, and the learning rate of the log-variances where there are some
WEIGHTINGS = {
    "Eq. 3": {"kind": "uncertainty"},
    "Eq. 3, s as fast as the weights": {"kind": "uncertainty", "lr_s": SETTINGS["lr"]},
    "Kendall, classification": {"kind": "classification"},
    "Liebel & Koerner": {"kind": "bounded"},
    "plain sum": {"kind": "sum"},
    "fixed, R a tenth": {"kind": "fixed", "below": 1.0, "top": 0.1},
    "fixed, variants a tenth": {"kind": "fixed", "below": 0.1, "top": 1.0},
    "analytic, 1 / L": {"kind": "analytic"},
    "softmax of 1 / L, temperature 10": {"kind": "softmax", "temperature": 10.0},
    "GradNorm": {"kind": "gradnorm"},
}
DIVIDING = ("analytic", "softmax", "gradnorm")  # kinds whose weights divide by a loss


class Network(NamedTuple):
    """What is evaluated of a training."""

    net: object  # MLP
    params: dict  # str to ndarray


def cells(form):
    """One for each weighting."""
    return recipe.cells(form, [{"weighting": name} for name in WEIGHTINGS])


def run(data, options, seed):
    """Accuracy at the trained and at the interpolated ranks, and after how many steps the training had to stop.

    Weights that divide by a loss do not exist once it is zero to rounding; then the network before that step counts.
    """
    rows, R = split(data, seed), options["R"]
    network, stopped = _fit(data, rows, options, seed, **_changes(options))
    return {
        "trained": accuracies(network, rows, trained_ranks(R)),
        "interpolated": accuracies(network, rows, untrained_ranks(R)),
        "stopped_after": stopped,
    }


def _changes(options):
    chosen = dict(WEIGHTINGS[options["weighting"]])
    lr_s = {"lr_s": chosen.pop("lr_s")} if "lr_s" in chosen else {}
    if chosen["kind"] == "fixed":
        chosen["weights"] = (chosen.pop("below"),) * (options["R"] - 1) + (chosen.pop("top"),)
    return {"objective": Objective(**chosen)} | lr_s


def _fit(data, rows, options, seed, **changes):
    """The network, and None or the number of steps after which a weight did not exist."""
    last = {}

    def keep(record, params):
        last.update(step=record["step"], params=params)

    try:
        fit_nested(data, rows, options, seed, keep, **changes)
    except DivergedError:
        if changes["objective"].kind not in DIVIDING:
            raise
        return Network(nested_net(data, options), last["params"]), last["step"]
    return Network(nested_net(data, options), last["params"]), None


EXPERIMENT = Experiment(
    name="weighting",
    title="How the losses are weighed",
    summary="Eq. 3 against a plain sum, two of its variants, analytic, softmax, GradNorm's and fixed weights",
    source="ours",
    cells=cells,
    seeds=SEEDS,
    run=run,
)
