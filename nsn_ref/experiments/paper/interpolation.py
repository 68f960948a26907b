"""Ranks that training never saw: a nested network against one trained at every rank, and against specialists."""

from nsn_ref.experiments.data import split
from nsn_ref.experiments.experiment import Experiment
from nsn_ref.experiments.paper import recipe
from nsn_ref.experiments.paper.recipe import (
    ALONE,
    FORMS,
    SEEDS,
    accuracies,
    fit,
    fit_nested,
    nested_net,
    untrained_ranks,
)

# name to the ranks that its variants are drawn from; {}: those that double
VARIANTS = {"nested": {}, "nested, any rank": {"variants": None}}


def cells(form):
    """Two nested networks, and a factorised specialist for each untrained rank."""
    ranks = untrained_ranks(FORMS[form]["R"])
    nested = [{"model": model} for model in VARIANTS]
    return recipe.cells(form, [*nested, *({"model": "specialist", "rank": r} for r in ranks)])


def run(data, options, seed):
    """Accuracy of a nested network at every rank, or of a specialist at its own."""
    rows = split(data, seed)
    if options["model"] == "specialist":
        rank = options["rank"]
        trained = fit(nested_net(data, options, rank), rows, options, seed, **ALONE)
        return {"accuracy": accuracies(trained, rows, [rank])}
    trained = fit_nested(data, rows, options, seed, **VARIANTS[options["model"]])
    return {"accuracy": accuracies(trained, rows, range(1, options["R"] + 1))}


EXPERIMENT = Experiment(
    name="interpolation",
    title="Ranks that training never saw",
    summary="a nested network at ranks between the trained ones, against specialists and a network trained at all",
    source="Fig. 5",
    cells=cells,
    seeds=SEEDS,
    run=run,
)
