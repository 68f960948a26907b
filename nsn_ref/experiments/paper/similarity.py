"""How alike the activations of neighbouring layers are, by rank."""

import numpy as np

from nsn_ref.experiments.data import split
from nsn_ref.experiments.experiment import Experiment
from nsn_ref.experiments.paper import recipe
from nsn_ref.experiments.paper.recipe import ALONE, SEEDS, fit, fit_nested, nested_net, trained_ranks
from nsn_ref.nets.chain import hidden

MODELS = ("nested", "factorised")


def cells(form):
    """One for each model, with a third hidden layer; "factorised" is trained at R alone."""
    deeper = {"hidden": [recipe.FORMS[form]["hidden"][0]] * 3}
    return recipe.cells(form, [deeper | {"model": model} for model in MODELS])


def run(data, options, seed):
    """Means over held-out rows and pairs of neighbouring hidden layers, by trained rank."""
    rows, net = split(data, seed), nested_net(data, options)
    if options["model"] == "nested":
        trained = fit_nested(data, rows, options, seed)
    else:
        trained = fit(net, rows, options, seed, **ALONE)
    result = {"cosine": {}, "centred alignment": {}}
    for r in trained_ranks(options["R"]):
        _, saved = net.forward(trained.params, rows.x_test, r)
        pairs = list(zip(hidden(saved), hidden(saved)[1:], strict=False))
        result["cosine"][str(r)] = float(np.mean([cosine(x, y) for x, y in pairs]))
        result["centred alignment"][str(r)] = float(np.mean([alignment(x, y) for x, y in pairs]))
    return result


def cosine(x, y):
    """Mean cosine of the angle between a row of x and the same row of y; a zero row counts as 0."""
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    return float(np.mean(np.sum(x * y, axis=1) / np.where(norms > 0, norms, 1)))


def alignment(x, y):
    """Linear centred kernel alignment, which no rotation of either space changes (Kornblith et al., arXiv:1905.00414).

    Where one of the two is constant it counts as 0.
    """
    x, y = (z - z.mean(axis=0) for z in (x.astype(np.float64), y.astype(np.float64)))
    norm = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.sum((x.T @ y) ** 2) / norm) if norm > 0 else 0.0


EXPERIMENT = Experiment(
    name="similarity",
    title="How alike neighbouring layers are",
    summary="cosine and alignment between the activations of neighbouring layers, by rank",
    source="Fig. 8",
    cells=cells,
    seeds=SEEDS,
    run=run,
)
