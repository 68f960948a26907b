"""Does the image of a layer at one rank lie in its image at another? The paper's score and a sound one."""

import numpy as np

from nsn_ref.analysis.containment import containment, singular_vector_score
from nsn_ref.experiments.data import split
from nsn_ref.experiments.experiment import Experiment
from nsn_ref.experiments.paper import recipe
from nsn_ref.experiments.paper.recipe import ALONE, SEEDS, fit, fit_nested, nested_net, trained_ranks
from nsn_ref.training import samplers

MODELS = ("nested", "factorised", "untrained", "untrained, a_2 = a_1")
SCORES = {"paper": singular_vector_score, "sound": containment}


def cells(form):
    """One for each model; "factorised" is trained at R alone, and in the last one W_2 has the rank 1."""
    return recipe.cells(form, [{"model": model} for model in MODELS])


def run(data, options, seed):
    """Both scores for each pair of trained ranks, averaged over the layers: a row is the rank that is to be contained.

    In float64, so that a rank is what the parameters have and not what their rounding leaves.
    """
    net = nested_net(data, options)
    params = _params(net, data, options, seed)
    layers = [[params[f"{layer.key}.{factor}"].astype(np.float64) for factor in "AB"] for layer in net.nested_layers]
    most = min(size for layer in net.nested_layers for size in (layer.R, layer.d_in, layer.d_out))
    ranks = [r for r in trained_ranks(options["R"]) if r <= most]
    return {"ranks": ranks} | {name: scores(score, layers, ranks) for name, score in SCORES.items()}


def _params(net, data, options, seed):
    if options["model"] == "nested":
        return fit_nested(data, split(data, seed), options, seed).params
    if options["model"] == "factorised":
        return fit(net, split(data, seed), options, seed, **ALONE).params
    params = net.init(samplers.generator(seed, "parameters"))
    if options["model"] != "untrained":
        for layer in net.nested_layers:
            params[f"{layer.key}.A"][1] = params[f"{layer.key}.A"][0]
    return params


def scores(score, layers, ranks):
    """A score of each pair of ranks, averaged over layers."""
    return [[float(np.mean([score(A, B, r, other) for A, B in layers])) for other in ranks] for r in ranks]


EXPERIMENT = Experiment(
    name="containment",
    title="Is the image at one rank contained in that at another?",
    summary="the paper's containment score and a sound one, of trained and of untrained layers",
    source="Fig. 9",
    cells=cells,
    seeds=SEEDS | {"quick": 5},
    run=run,
)
