"""Whether components are ordered by size, as Assumption 1 says, during training and at its end."""

import numpy as np

from nsn_ref.analysis.energy import component_energies, factor_norms, non_increasing_share
from nsn_ref.experiments.data import split
from nsn_ref.experiments.experiment import Experiment
from nsn_ref.experiments.models import dense_mlp
from nsn_ref.experiments.paper import recipe
from nsn_ref.experiments.paper.recipe import ALONE, SEEDS, fit, fit_nested, nested_net, trained_ranks
from nsn_ref.surgery.factorise import factorise_svd

MODELS = ("nested", "factorised", "dense, its SVD")
POINTS = 12  # of the curves


def cells(form):
    """One for each model; "factorised" is trained at R alone."""
    return recipe.cells(form, [{"model": model} for model in MODELS])


def run(data, options, seed):
    """Orders of the components during training, averaged over the layers, and energies at its end, by layer."""
    rows, net = split(data, seed), nested_net(data, options)
    steps = recipe.total_steps(options, rows)
    shown = sorted(set(np.linspace(1, steps, POINTS).round().astype(int).tolist()))
    orders, last = [], {}

    def keep(record, params):
        if record["step"] in shown:
            last.update({layer.key: factors(params, layer) for layer in net.nested_layers})
            each = [order(*pair, trained_ranks(options["R"])) for pair in last.values()]
            orders.append({kind: float(np.mean([shares[kind] for shares in each])) for kind in each[0]})

    if options["model"] == "nested":
        fit_nested(data, rows, options, seed, keep)
    elif options["model"] == "factorised":
        fit(net, rows, options, seed, keep, **ALONE)
    else:
        fit(dense_mlp(net.widths), rows, options, seed, keep, **ALONE)
    return {
        "steps": shown,
        "order": {kind: [shares[kind] for shares in orders] for kind in orders[0]},
        "energies": {key: component_energies(*pair).astype(float).tolist() for key, pair in last.items()},
    }


def factors(params, layer):
    """A and B of a layer; of a dense one those of its singular value decomposition, as many as the layer has."""
    if f"{layer.key}.A" in params:
        return params[f"{layer.key}.A"], params[f"{layer.key}.B"]
    W = params[f"{layer.key}.W"]
    return factorise_svd(W, min(layer.R, *W.shape))


def order(A, B, ranks):
    """Shares of neighbours that do not increase: of both norms and of the energies; and of the energies by band.

    A band is what one trained rank adds to the one before it. Training treats its components alike, so that only the
    bands, by the mean energy of their components, can be ordered by it.
    """
    norm_a, norm_b = factor_norms(A, B)
    energies = norm_a * norm_b
    bands = np.split(energies, [r for r in ranks if r < len(energies)])
    means = np.array([band.mean() for band in bands], energies.dtype)
    kinds = {"norm of a": norm_a, "norm of b": norm_b, "energy": energies, "energy, bands": means}
    return {kind: non_increasing_share(each) for kind, each in kinds.items()}


EXPERIMENT = Experiment(
    name="energy",
    title="Are components ordered by size?",
    summary="Assumption 1 and its gauge-invariant form, of a nested, a factorised and a dense network in training",
    source="Assumption 1",
    cells=cells,
    seeds=SEEDS,
    run=run,
)
