"""What the largest rank, the trained ranks and the anchor do to a nested network."""

from nsn_ref.experiments.data import split
from nsn_ref.experiments.experiment import Experiment
from nsn_ref.experiments.paper import recipe
from nsn_ref.experiments.paper.recipe import FORMS, SEEDS, accuracies, fit_nested, trained_ranks, untrained_ranks

BASE = "as elsewhere"


def cells(form):
    """The network of the other experiments, and some that differ from it in one thing."""
    R = FORMS[form]["R"]
    return recipe.cells(form, [{"variant": name} | changes for name, changes in _variants(R).items()])


def _variants(R):
    return {
        BASE: {},
        f"R = {R // 4}": {"R": R // 4},
        f"R = {R // 2}": {"R": R // 2},
        f"R = {2 * R}": {"R": 2 * R},
        f"variants: {R // 2}": {"variants": [R // 2]},
        "variants: 1": {"variants": [1]},
        "variants: 1, 4": {"variants": [1, 4]},
        f"variants: multiples of {R // 8}": {"variants": list(range(R // 8, R, R // 8))},
        "variants: any rank": {"variants": list(range(1, R))},
        f"anchor {R // 2}": {"anchor": R // 2},
        f"anchor {R // 4}": {"anchor": R // 4},
    }


def run(data, options, seed):
    """Accuracy at the doubling ranks and at the interpolated ones of the network of `BASE`, as far as this one goes."""
    rows, R = split(data, seed), options["R"]
    changes = {name: options[name] for name in ("variants", "anchor") if name in options}
    if "variants" in changes:
        changes["variants"] = tuple(changes["variants"])
    trained = fit_nested(data, rows, options, seed, **changes)
    return {"accuracy": accuracies(trained, rows, sorted({*trained_ranks(R), *untrained_ranks(R)}))}


EXPERIMENT = Experiment(
    name="hyper",
    title="The largest rank, the trained ranks and the anchor",
    summary="what R, the number and spacing of the trained ranks, and the anchor change",
    source="ours",
    cells=cells,
    seeds=SEEDS,
    run=run,
)
