"""The page of `containment`."""

import numpy as np

from nsn_ref.experiments.experiment import Page
from nsn_ref.experiments.paper.containment import MODELS, SCORES
from nsn_ref.experiments.paper.setting import setting
from nsn_ref.experiments.tables import choices, table, values

PAGE = """{setting}

A score of 1 says that the image of W_small lies in that of W_large. The paper's is norm_F(U_large^T U_small)^2 / small,
with U_r the first r left singular vectors of W_r; where W_r has a rank below r some of these are arbitrary. The sound
one is tr(P_small P_large) / rank(W_small), with P the orthogonal projectors on the images. Both are averaged over the
layers and splits. Below are the paper's scores of the nested network; a row is the rank that is to be contained.

{table}

![Both scores](containment.png)

For small <= large, the score that is furthest below 1 is

{furthest}

## What it means

A score of 1 is no evidence of training: all prefixes of factors with independent rows have it. Without that, as where
a_2 = a_1, the image at rank 1 need not lie in that at rank 2, against the paper's Def. 2 (sound score {broken:.2f});
and the image at rank 2 lies in those above (sound score at least {kept:.2f}), where the paper's score falls to
{fallen:.2f}.
"""


def page(records):
    """The paper's scores of the nested network, and how far every score is from 1 where it should be."""
    models, ranks = choices(records, "model"), records[0]["result"]["ranks"]
    score = {
        (model, kind): np.mean(list(values(records, kind, model=model).values()), axis=0)
        for model in models
        for kind in SCORES
    }
    lowest = {key: each[np.triu_indices(len(ranks))].min() for key, each in score.items()}
    repeated = {kind: score[MODELS[-1], kind] for kind in SCORES}
    rows = [[r, *(f"{value:.3f}" for value in row)] for r, row in zip(ranks, score["nested", "paper"], strict=True)]
    body = PAGE.format(
        setting=setting(records),
        table=table(["small \\ large", *ranks], rows),
        furthest=table(
            ["", *(f"{kind} score" for kind in SCORES)],
            [[model, *(f"{lowest[model, kind]:.6f}" for kind in SCORES)] for model in models],
        ),
        broken=repeated["sound"][0, 1],
        kept=repeated["sound"][1, 2:].min(),
        fallen=repeated["paper"][1, 2:].min(),
    )
    panels = {"nested: paper": score["nested", "paper"]}
    panels |= {f"{MODELS[-1]}: {kind}": each for kind, each in repeated.items()}
    return Page(body, {"containment.png": _figure(panels, ranks)})


def _figure(panels, ranks):
    """Numbered grey squares."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(panels), 4.9), dpi=110, layout="constrained")
    for axes, (title, score) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        axes.imshow(score, cmap="Greys", vmin=0, vmax=2.2)  # so that black numbers read on the darkest square
        for i, row in enumerate(score):
            for j, value in enumerate(row):
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8)
        axes.set_xticks(range(len(ranks)), ranks)
        axes.set_yticks(range(len(ranks)), ranks)
        axes.set(xlabel="large", ylabel="small")
        axes.set_title(f"{title} score", fontsize=11)
    return figure
