"""The page of `distance`."""

from nsn_ref.experiments.experiment import Page
from nsn_ref.experiments.paper.distance import FINE
from nsn_ref.experiments.paper.figures import against_rank
from nsn_ref.experiments.paper.setting import setting
from nsn_ref.experiments.tables import at_ranks, choices, difference, interval, mean, table, values

PAGE = """{setting}

A dense network is trained on one half of the training rows. On the other half it is fine-tuned, learning rate {fine}:
as it is (standard fine-tuning), and with Eq. 3 as a nested network after surgery by SVD. Below is the cosine between
the standard weights and W_r, averaged over layers. "Surgery alone" is not fine-tuned. "Best possible" is the truncated
SVD of the standard weights: no matrix of rank r has a larger cosine.

{table}

![Cosine by rank](distance.png)

At rank {R} the fine-tuned nested network has the cosine {top:.3f}, where {best:.3f} is possible and surgery alone has
{alone:.3f}; the paper has about 0.85 at rank 1024 of a language model. Fine-tuning changes the cosine of surgery alone
by {change} at rank {R}; the interval lies wholly below zero, away from the standard weights, {away}.

## What it means

Compared with surgery alone, training at many ranks leads away from the standard weights {away}. At rank {lowest} even
the best matrix has the cosine {best_lowest:.3f}; the nested network has {own_lowest:.3f}.
"""


def page(records):
    """Cosines by rank."""
    models, R = choices(records, "model"), records[0]["options"]["R"]
    ranks = [int(r) for r in records[0]["result"]["cosine"]]
    cosine = {model: {r: values(records, "cosine", str(r), model=model) for r in ranks} for model in models}
    change = {r: difference(cosine["fine-tuned"][r], cosine["surgery alone"][r]) for r in ranks}
    rows = [[r, *(f"{mean(cosine[model][r]):.3f}" for model in models), interval(change[r], 3)] for r in ranks]
    body = PAGE.format(
        setting=setting(records, paper="language models"),
        fine=FINE,
        table=table(["rank", *models, "fine-tuned - surgery alone"], rows),
        R=R,
        top=mean(cosine["fine-tuned"][R]),
        best=mean(cosine["best possible"][R]),
        alone=mean(cosine["surgery alone"][R]),
        change=interval(change[R], 3),
        lowest=ranks[0],
        best_lowest=mean(cosine["best possible"][ranks[0]]),
        own_lowest=mean(cosine["fine-tuned"][ranks[0]]),
        away=at_ranks(r for r in ranks if change[r].high < 0),
    )
    lines = {model: {r: mean(by_seed) for r, by_seed in cosine[model].items()} for model in models}
    return Page(
        body, {"distance.png": against_rank("Distance from standard fine-tuning", lines, "cosine to its weights")}
    )
