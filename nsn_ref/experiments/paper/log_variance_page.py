"""The page of `log_variance`."""

import math

import numpy as np

from nsn_ref.analysis.plots import draw_line, new_figure
from nsn_ref.experiments.experiment import Page
from nsn_ref.experiments.paper import printed
from nsn_ref.experiments.paper.setting import setting
from nsn_ref.experiments.tables import choices, mean, table, values

PAGE = """{setting}

Eq. 3 is smallest over s_k at s_k = ln L_k, where rank k has the weight exp(-s_k) = 1 / L_k. So a rank with a larger
loss gets a smaller weight. The paper does not give the learning rate of the s_k, which start at 0; here are several,
all under the cosine schedule of the weights. Below are the s_k at the end of the training, and ln L_k of the same
networks, averaged over splits; "loss" is that on the rows trained on, of the network with the largest learning rate.

{table}

![Log-variances during training](log-variance.png)

The distance abs(s_k - ln L_k), L_k on the rows trained on, averages {distances} (learning rate: distance). At the end
of a training with {largest} rank {top} has {ratio:.0f} times the weight of rank {bottom}; in the paper's Fig. 3 it has
{ratio_paper:.0f} times.

## What it means

The s_k are still on their way to ln L_k when the training ends, so the weights of Eq. 3 are made by the learning rate
of s as well as by the losses: with {smallest} rank {top} has {ratio_smallest:.1f} times the weight of rank {bottom}.
The most weight goes to rank {heaviest} and the least to rank {lightest}: a rank with a large loss is played down, not
helped.
"""


def page(records):
    """Final log-variances by rank and learning rate, and a figure of their way there."""
    ranks = [int(r) for r in records[0]["result"]["s"]]
    rates = choices(records, "lr_s")
    s = {lr: {r: _last(values(records, "s", str(r), lr_s=lr)) for r in ranks} for lr in rates}
    logs = {
        kind: {lr: {r: _log(values(records, kind, str(r), lr_s=lr)) for r in ranks} for lr in rates}
        for kind in ("trained_on", "held_out")
    }
    largest, bottom, top = rates[-1], ranks[0], ranks[-1]
    distance = {lr: np.mean([abs(s[lr][r] - logs["trained_on"][lr][r]) for r in ranks]) for lr in rates}
    head = ["rank", *(f"s, learning rate {lr}" for lr in rates), "ln loss", "ln loss, held-out rows", "s (paper)"]
    rows = [
        [
            r,
            *(f"{s[lr][r]:+.2f}" for lr in rates),
            *(f"{logs[kind][largest][r]:+.2f}" for kind in logs),
            f"{printed.LOG_VARIANCES[r]:+.2f}" if r in printed.LOG_VARIANCES else "",
        ]
        for r in ranks
    ]
    body = PAGE.format(
        setting=setting(records),
        table=table(head, rows),
        distances=", ".join(f"{lr}: {distance[lr]:.2f}" for lr in rates),
        largest=largest,
        top=top,
        bottom=bottom,
        smallest=rates[0],
        ratio_smallest=math.exp(s[rates[0]][bottom] - s[rates[0]][top]),
        heaviest=min(ranks, key=s[largest].get),
        lightest=max(ranks, key=s[largest].get),
        ratio=math.exp(s[largest][bottom] - s[largest][top]),
        ratio_paper=math.exp(printed.LOG_VARIANCES[1] - printed.LOG_VARIANCES[64]),
    )
    return Page(body, {"log-variance.png": _figure(records, largest, ranks)})


def _last(curves):
    return mean({seed: curve[-1] for seed, curve in curves.items()})


def _log(losses):
    """Mean of the logarithms; a loss that has vanished has none."""
    return mean({seed: math.log(loss) if loss > 0 else -math.inf for seed, loss in losses.items()})


def _figure(records, lr, ranks):
    figure, axes = new_figure(f"Log-variances, learning rate {lr}, mean over splits")
    steps = next(iter(values(records, "steps", lr_s=lr).values()))
    for i, r in enumerate(ranks):
        draw_line(axes, steps, np.mean(list(values(records, "s", str(r), lr_s=lr).values()), axis=0), i, f"rank {r}")
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set(xlabel="training step", ylabel=r"log-variance $s_r = \ln \sigma_r^2$")
    axes.legend(fontsize=8, ncols=2)
    return figure
