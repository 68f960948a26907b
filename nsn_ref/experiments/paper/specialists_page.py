"""The page of `specialists`."""

from nsn_ref.experiments.experiment import Page
from nsn_ref.experiments.paper import printed
from nsn_ref.experiments.paper.figures import against_rank
from nsn_ref.experiments.paper.setting import setting
from nsn_ref.experiments.tables import (
    at_ranks,
    difference,
    extremes,
    interval,
    mean,
    percent,
    printed_at,
    table,
    values,
)

PAGE = """{setting}

A dense network has no factors, and hidden layers of one width, such that its FLOPs are nearest to those of the nested
network at rank r.

{table}

![Accuracy by rank](specialists-vs-nsn.png)

The nested network differs from the dense networks by {differences}; in the paper by {paper}. Its interval lies wholly
below zero {losses}, wholly above {gains}.

## What it means

At equal FLOPs a layer of rank r passes r numbers on and a dense one passes more ({narrowest} at rank {lowest}), so
equal arithmetic is not equal capacity at small ranks. Where FLOPs are all that is scarce, narrow dense networks are
the better choice {losses}; they are as many sets of weights as budgets.
"""


def page(records):
    """Accuracies by rank, and differences at equal FLOPs."""
    flops = next(iter(values(records, "flops", model="nested").values()))
    ranks = [int(r) for r in flops]
    nested = {r: values(records, "accuracy", str(r), model="nested") for r in ranks}
    dense = {r: values(records, "accuracy", model="dense", rank=r) for r in ranks}
    width, own = (
        {r: next(iter(values(records, key, model="dense", rank=r).values())) for r in ranks}
        for key in ("width", "flops")
    )
    gap = {r: difference(nested[r], dense[r], 100) for r in ranks}
    head = ["rank", "FLOPs", "width", "its FLOPs", "nested", "dense", "difference", "nested (paper)", "dense (paper)"]
    rows = [
        [
            r, f"{flops[str(r)]:,}", width[r], f"{own[r]:,}", percent(nested[r]), percent(dense[r]), interval(gap[r]),
            printed_at(printed.NESTED, r), printed_at(printed.DENSE, r),
        ]
        for r in ranks
    ]  # fmt: skip
    body = PAGE.format(
        setting=setting(records),
        table=table(head, rows),
        differences=extremes(gap[r].mean for r in ranks),
        paper=extremes(printed.NESTED[r] - printed.DENSE[r] for r in printed.DENSE),
        losses=at_ranks(r for r in ranks if gap[r].high < 0),
        gains=at_ranks(r for r in ranks if gap[r].low > 0),
        narrowest=width[ranks[0]],
        lowest=ranks[0],
    )
    models = {"nested": nested, "dense, equal FLOPs": dense}
    lines = {name: {r: 100 * mean(by_seed) for r, by_seed in accuracy.items()} for name, accuracy in models.items()}
    figure = against_rank("One nested network, dense networks of equal FLOPs", lines, "accuracy on held-out rows (%)")
    return Page(body, {"specialists-vs-nsn.png": figure})
