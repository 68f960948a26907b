"""One nested network against specialists, and against one model that is trained at R only and cut."""

from nsn_ref.experiments.data import split
from nsn_ref.experiments.experiment import Experiment
from nsn_ref.experiments.paper import recipe
from nsn_ref.experiments.paper.recipe import ALONE, FORMS, SEEDS, accuracies, fit, fit_nested, nested_net, trained_ranks


def cells(form):
    """The nested network, and a factorised specialist for each rank."""
    ranks = trained_ranks(FORMS[form]["R"])
    return recipe.cells(form, [{"model": "nested"}, *({"model": "specialist", "rank": r} for r in ranks)])


def run(data, options, seed):
    """Accuracy of one model at every trained rank that it has.

    Below its own rank a specialist is truncated: that of the largest one is the truncated model.
    """
    rows = split(data, seed)
    own = options.get("rank", options["R"])
    if options["model"] == "nested":
        trained = fit_nested(data, rows, options, seed)
    else:
        trained = fit(nested_net(data, options, own), rows, options, seed, **ALONE)
    return {"accuracy": accuracies(trained, rows, [r for r in trained_ranks(options["R"]) if r <= own])}


EXPERIMENT = Experiment(
    name="truncation",
    title="Specialists, truncation and one nested network",
    summary="one nested network against a factorised specialist for each rank, and against a model cut to lower ranks",
    source="Fig. 2",
    cells=cells,
    seeds=SEEDS,
    run=run,
)
