"""How far a nested network that was fine-tuned ends from the weights of standard fine-tuning."""

import numpy as np

from nsn_ref.experiments.data import split
from nsn_ref.experiments.digits_data import Split
from nsn_ref.experiments.experiment import Experiment
from nsn_ref.experiments.models import dense_mlp
from nsn_ref.experiments.paper import recipe
from nsn_ref.experiments.paper.recipe import ALONE, SEEDS, SETTINGS, fit, fit_nested, nested_net, trained_ranks
from nsn_ref.surgery.factorise import factorise_svd

FINE = SETTINGS["lr"] / 10  # learning rate of fine-tuning
MODELS = ("fine-tuned", "surgery alone", "best possible")


def cells(form):
    """One for each model that is compared with standard fine-tuning."""
    return recipe.cells(form, [{"model": model} for model in MODELS])


def run(data, options, seed):
    """Cosine between W_r and the weights of standard fine-tuning, by rank, averaged over the nested layers.

    A dense network is trained on one half of the rows and fine-tuned on the other: as it is, and as a nested network
    after surgery. The best possible W_r is the truncated SVD of the fine-tuned weights themselves.
    """
    rows = split(data, seed)
    first, second = halves(rows)
    net = nested_net(data, options)
    dense = dense_mlp(net.widths)
    pretrained = fit(dense, first, options, seed, **ALONE).params
    standard = fit(dense, second, options, seed, params=pretrained, lr=FINE, **ALONE).params
    if options["model"] == "fine-tuned":
        params = fit_nested(data, second, options, seed, params=surgery(net, pretrained), lr=FINE).params
    else:
        params = surgery(net, pretrained if options["model"] == "surgery alone" else standard)
    return {"cosine": {str(r): mean_cosine(net, params, standard, r) for r in trained_ranks(options["R"])}}


def halves(rows):
    """The training rows in two, each with every other one of a class."""
    order = np.argsort(rows.y_train, kind="stable")
    return [
        Split(rows.x_train[half], rows.y_train[half], rows.x_test, rows.y_test) for half in (order[::2], order[1::2])
    ]


def surgery(net, dense):
    """Parameters of a nested network from those of a dense one; components that its matrices do not have are zero."""
    params = {name: dense[name] for name in net.shapes() if name in dense}
    for layer in net.nested_layers:
        A, B = factorise_svd(dense[f"{layer.key}.W"], min(layer.R, layer.d_in, layer.d_out))
        missing = layer.R - len(A)
        params[f"{layer.key}.A"] = np.pad(A, ((0, missing), (0, 0)))
        params[f"{layer.key}.B"] = np.pad(B, ((0, 0), (0, missing)))
    return params | {"s": np.zeros(net.R, params["layers.0.b"].dtype)}


def mean_cosine(net, params, standard, rank):
    """Mean over the nested layers of the cosine of W_r and the standard weights."""
    cosines = []
    for layer in net.nested_layers:
        W = params[f"{layer.key}.B"][:, :rank] @ params[f"{layer.key}.A"][:rank]
        V = standard[f"{layer.key}.W"]
        cosines.append(np.sum(W * V) / (np.linalg.norm(W) * np.linalg.norm(V)))
    return float(np.mean(cosines))


EXPERIMENT = Experiment(
    name="distance",
    title="Distance from standard fine-tuning",
    summary="cosine between the weights of a nested network after surgery and fine-tuning and the standard ones",
    source="Fig. 10",
    cells=cells,
    seeds=SEEDS,
    run=run,
)
