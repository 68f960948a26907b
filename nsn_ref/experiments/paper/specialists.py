"""One nested network against a dense network of equal FLOPs for each rank."""

from nsn_ref.analysis.linear_layers import linear_layers, network_flops
from nsn_ref.experiments.data import split
from nsn_ref.experiments.experiment import Experiment
from nsn_ref.experiments.models import dense_flops, dense_net, matched_width
from nsn_ref.experiments.paper import recipe
from nsn_ref.experiments.paper.recipe import ALONE, FORMS, SEEDS, accuracies, fit, fit_nested, nested_net, trained_ranks


def cells(form):
    """The nested network, and a dense one for each rank."""
    ranks = trained_ranks(FORMS[form]["R"])
    return recipe.cells(form, [{"model": "nested"}, *({"model": "dense", "rank": r} for r in ranks)])


def run(data, options, seed):
    """Accuracy and FLOPs: of the nested network by rank, or of the dense network for one rank."""
    rows = split(data, seed)
    layers = linear_layers(nested_net(data, options), data.x.shape)
    if options["model"] == "nested":
        ranks = trained_ranks(options["R"])
        trained = fit_nested(data, rows, options, seed)
        return {
            "accuracy": accuracies(trained, rows, ranks),
            "flops": {str(r): network_flops(layers, r) for r in ranks},
        }

    def dense(width):
        return dense_net(data.x.shape[1], width, len(options["hidden"]), data.classes)

    width = matched_width(network_flops(layers, options["rank"]), dense)
    net = dense(width)
    trained = fit(net, rows, options, seed, **ALONE)
    return {"accuracy": accuracies(trained, rows, [1])["1"], "flops": dense_flops(net), "width": width}


EXPERIMENT = Experiment(
    name="specialists-vs-nsn",
    title="Dense networks of equal FLOPs and one nested network",
    summary="one nested network against a dense network whose width costs the same, for each rank",
    source="Fig. 4",
    cells=cells,
    seeds=SEEDS,
    run=run,
)
