"""The page of `hyper`."""

from nsn_ref.experiments.experiment import Page
from nsn_ref.experiments.paper.figures import dots
from nsn_ref.experiments.paper.hyper import BASE
from nsn_ref.experiments.paper.setting import setting
from nsn_ref.experiments.tables import (
    average,
    choices,
    difference,
    extremes,
    interval,
    listed,
    mean,
    percent,
    table,
    values,
)

PAGE = """{setting}

Each row differs from the network of the other experiments, "{base}", in one thing: the largest rank R, the ranks that
variants are drawn from, or the anchor, above which components are not trained. "Common" averages over the ranks that
all of them have: {common}.

{table}

![Averages by row](hyper.png)

Over the common ranks, the interval against "{base}" lies wholly above zero for {better}; wholly below for {worse}. At R
it lies wholly above zero for {better_top}; wholly below for {worse_top}.

## What it means

Other ranks to draw variants from change the average over the common ranks by {variants}, another R or anchor by
{sizes}. At R all of them together change the accuracy by {top}: what is chosen here is chosen for the low ranks.
"""


def page(records):
    """Accuracy at R and over the common ranks, by row."""
    names = choices(records, "variant")
    by_name = {name: next(iter(values(records, "accuracy", variant=name).values())) for name in names}
    common = [r for r in by_name[BASE] if all(r in each for each in by_name.values())]
    top = {name: values(records, "accuracy", list(by_name[name])[-1], variant=name) for name in names}
    over = {name: average([values(records, "accuracy", r, variant=name) for r in common]) for name in names}
    gaps = {name: [difference(each[name], each[BASE], 100) for each in (top, over)] for name in names if name != BASE}
    rows = [
        [
            name, percent(top[name]), interval(gaps[name][0]) if name in gaps else "",
            percent(over[name]), interval(gaps[name][1]) if name in gaps else "",
        ]
        for name in names
    ]  # fmt: skip
    body = PAGE.format(
        setting=setting(records),
        base=BASE,
        common=", ".join(common),
        table=table(["", "at R", "difference", "common", "difference"], rows),
        variants=extremes(gap.mean for name, (_, gap) in gaps.items() if name.startswith("variants")),
        sizes=extremes(gap.mean for name, (_, gap) in gaps.items() if not name.startswith("variants")),
        top=extremes(gap.mean for gap, _ in gaps.values()),
        better=listed(name for name, (_, gap) in gaps.items() if gap.low > 0),
        worse=listed(name for name, (_, gap) in gaps.items() if gap.high < 0),
        better_top=listed(name for name, (gap, _) in gaps.items() if gap.low > 0),
        worse_top=listed(name for name, (gap, _) in gaps.items() if gap.high < 0),
    )
    shown = {name: {"at R": 100 * mean(top[name]), "common ranks": 100 * mean(over[name])} for name in names}
    return Page(body, {"hyper.png": dots("One thing changed", shown, "accuracy on held-out rows (%)")})
