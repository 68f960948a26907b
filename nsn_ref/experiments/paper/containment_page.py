"""The page of `containment`."""

import numpy as np

from nsn_ref.experiments.experiment import Page
from nsn_ref.experiments.paper.containment import SCORES
from nsn_ref.experiments.paper.tables import choices, setting, table, values

PAGE = """{setting}

A score of 1 says that the image of W_small lies in that of W_large. The paper's is norm_F(U_large^T U_small)^2 / small,
with U_r the first r left singular vectors of W_r; where W_r has a rank below r some of these are arbitrary. The sound
one is tr(P_small P_large) / rank(W_small), with P the orthogonal projectors on the images. Both are averaged over the
layers and splits. Below are the paper's scores of the nested network; a row is the rank that is to be contained.

{table}

![Both scores](containment.png)

For small <= large the score departs from 1 by at most {apart}. Below the diagonal the paper's score of the nested
network departs from large / small by at most {below:.1e}. So a score of 1 is no evidence of training: every prefix of
factors with independent rows has it, those of an untrained network too.
"""


def page(records):
    """The paper's scores of the nested network, and how far every score is from 1 where it should be."""
    models, ranks = choices(records, "model"), records[0]["result"]["ranks"]
    score = {
        (model, kind): np.mean(list(values(records, kind, model=model).values()), axis=0)
        for model in models
        for kind in SCORES
    }
    expected = np.array([[min(1, large / small) for large in ranks] for small in ranks])
    above = np.triu(np.ones_like(expected)) > 0
    apart = {key: np.abs(each - 1)[above].max() for key, each in score.items()}
    paper = score["nested", "paper"]
    body = PAGE.format(
        setting=setting(records),
        table=table(
            ["small \\ large", *ranks], [[r, *(f"{v:.3f}" for v in row)] for r, row in zip(ranks, paper, strict=True)]
        ),
        apart=", ".join(f"{gap:.1e} ({model}, {kind} score)" for (model, kind), gap in apart.items()),
        below=np.abs(paper - expected)[~above].max(),
    )
    return Page(body, {"containment.png": _figure({kind: score["nested", kind] for kind in SCORES}, ranks)})


def _figure(scores, ranks):
    """A panel of numbered grey squares for each score."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(scores), 4.4), dpi=110, layout="constrained")
    for axes, (kind, score) in zip(figure.subplots(1, len(scores)), scores.items(), strict=True):
        axes.imshow(score, cmap="Greys", vmin=0, vmax=1.6)  # so that black numbers read on the darkest square
        for i, row in enumerate(score):
            for j, value in enumerate(row):
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8)
        axes.set_xticks(range(len(ranks)), ranks)
        axes.set_yticks(range(len(ranks)), ranks)
        axes.set(xlabel="large", ylabel="small", title=f"nested network, {kind} score")
    return figure
