"""The page of `energy`."""

import numpy as np

from nsn_ref.analysis.plots import draw_line, new_figure
from nsn_ref.experiments.experiment import Page
from nsn_ref.experiments.paper.setting import setting
from nsn_ref.experiments.tables import choices, difference, interval, table, values

KINDS = ("norm of a", "norm of b", "energy", "energy, bands")
PAGE = """{setting}

Assumption 1 says that the norms of a_i and of b_i do not increase with i. Rescaling a_i -> c a_i, b_i -> b_i / c
changes both norms and no weight; the energy, their product, does not change. Below is the share of neighbours that do
not increase, at the end of the training and averaged over the layers: 1 where the assumption holds, near 0.5 where the
order is accidental. A band holds the components that one trained rank adds to the one before it; training treats them
alike, so only the bands (mean energies) can be ordered by it. The factorised network is trained at R alone. Of the
dense network it is the factors of the SVD, which are ordered by construction.

{table}

![Shares during training](energy-order.png)

![Energies at the end](energy.png)

Assumption 1 holds throughout (share 1 on every split) for {holds}. In the nested network the order of its bands exceeds
that of the factorised one by {gap}. In `{layer}` the first {first} of {R} components hold {heads} of all energy.

## What it means

Every trained W_r has all components of a band or none, so training has no reason to order them: by energy {single:.2f}
of neighbouring components are in order in the nested network, and {bands:.2f} of neighbouring bands. Assumption 1 can
be asked of bands and of energies; of single norms it is a matter of scale.
"""


def page(records):
    """Shares at the end, and figures of their way there and of the energies."""
    models, R = choices(records, "model"), records[0]["options"]["R"]
    ends = {model: {kind: _last(values(records, "order", kind, model=model)) for kind in KINDS} for model in models}
    layer = list(records[0]["result"]["energies"])[-1]
    energies = {
        model: np.mean(list(values(records, "energies", layer, model=model).values()), axis=0) for model in models
    }
    first = max(1, R // 8)
    heads = {model: 100 * each[:first].sum() / each.sum() for model, each in energies.items()}
    rows = [[model, *(f"{np.mean(list(ends[model][kind].values())):.2f}" for kind in KINDS)] for model in models]
    always = {
        model: [kind for kind in KINDS[:2] if min(ends[model][kind].values()) == 1] == list(KINDS[:2])
        for model in models
    }
    body = PAGE.format(
        setting=setting(records),
        table=table(["", *KINDS], rows),
        holds="; ".join(f'"{model}"' for model in models if always[model]) or "none",
        gap=interval(difference(ends["nested"]["energy, bands"], ends["factorised"]["energy, bands"]), 2),
        single=np.mean(list(ends["nested"]["energy"].values())),
        bands=np.mean(list(ends["nested"]["energy, bands"].values())),
        layer=layer,
        first=first,
        R=R,
        heads=", ".join(f"{share:.0f} % ({model})" for model, share in heads.items()),
    )
    return Page(body, {"energy-order.png": _orders(records, models[:2]), "energy.png": _energies(energies, layer)})


def _last(curves):
    return {seed: curve[-1] for seed, curve in curves.items()}


def _orders(records, models):
    figure, axes = new_figure("Order of the components during training, mean over splits")
    lines = [(model, kind) for model in models for kind in KINDS[2:]]
    for i, (model, kind) in enumerate(lines):
        curves = list(values(records, "order", kind, model=model).values())
        draw_line(axes, records[0]["result"]["steps"], np.mean(curves, axis=0), i, f"{model}: {kind}")
    axes.axhline(0.5, color="black", linewidth=0.5)
    axes.set(xlabel="training step", ylabel="share of neighbours that do not increase", ylim=(0, 1.05))
    axes.legend(fontsize=8)
    return figure


def _energies(energies, layer):
    figure, axes = new_figure(f"Energies of {layer} at the end, mean over splits")
    for i, (model, each) in enumerate(energies.items()):
        draw_line(axes, range(1, len(each) + 1), each, i, model)
    axes.set(xlabel="component i", ylabel=r"energy $\|b_i\| \, \|a_i\|$", yscale="log")
    axes.legend(fontsize=8)
    return figure
