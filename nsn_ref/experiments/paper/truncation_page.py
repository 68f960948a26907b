"""The page of `truncation`."""

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

A specialist is a factorised network of one rank, trained at it alone. The truncated model is the specialist of rank {R}
cut to its first r components: nothing in its training orders them. The nested network is one set of weights, trained
with Eq. 3 at all these ranks.

{table}

![Accuracy by rank](truncation.png)

Below rank {R} the nested network differs from the truncated model by {truncated}; the interval lies wholly above zero
{wins}. From the specialists it differs by {specialists}; the interval lies wholly below zero {losses}, wholly above
{gains}.

## What it means

These {splits} splits do not tell one set of weights from specialists {level}, but leave room for a loss of {room:.1f}
points. What it has over the truncated model is due to the training at several ranks alone: the two have the same form
and size.
"""


def page(records):
    """Accuracies by rank, and the nested network's differences."""
    R = records[0]["options"]["R"]
    ranks = [int(r) for r in next(iter(values(records, "accuracy", model="nested").values()))]
    nested, cut, alone = {}, {}, {}
    for r in ranks:
        nested[r] = values(records, "accuracy", str(r), model="nested")
        cut[r] = values(records, "accuracy", str(r), model="specialist", rank=R)
        alone[r] = values(records, "accuracy", str(r), model="specialist", rank=r)
    to_cut = {r: difference(nested[r], cut[r], 100) for r in ranks}
    to_alone = {r: difference(nested[r], alone[r], 100) for r in ranks}
    models = {"nested": nested, "specialists": alone, "truncated": cut}
    paper = {"nested": printed.NESTED, "specialists": printed.SPECIALIST, "truncated": printed.TRUNCATED}
    head = ["rank", *models, "nested - specialist", "nested - truncated", *(f"{name} (paper)" for name in models)]
    rows = [
        [
            r,
            *(percent(accuracy[r]) for accuracy in models.values()),
            interval(to_alone[r]),
            interval(to_cut[r]),
            *(printed_at(paper[name], r) for name in models),
        ]
        for r in ranks
    ]
    below = [r for r in ranks if r < R]
    body = PAGE.format(
        setting=setting(records),
        R=R,
        table=table(head, rows),
        truncated=extremes(to_cut[r].mean for r in below),
        wins=at_ranks(r for r in below if to_cut[r].low > 0),
        specialists=extremes(to_alone[r].mean for r in ranks),
        losses=at_ranks(r for r in ranks if to_alone[r].high < 0),
        gains=at_ranks(r for r in ranks if to_alone[r].low > 0),
        level=at_ranks(r for r in ranks if to_alone[r].low <= 0 <= to_alone[r].high),
        splits=len(nested[R]),
        room=-min(to_alone[r].low for r in ranks),
    )
    lines = {name: {r: 100 * mean(by_seed) for r, by_seed in accuracy.items()} for name, accuracy in models.items()}
    figure = against_rank("One nested network, specialists, truncation", lines, "accuracy on held-out rows (%)")
    return Page(body, {"truncation.png": figure})
