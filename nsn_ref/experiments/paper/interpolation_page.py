"""The page of `interpolation`."""

from nsn_ref.experiments.experiment import Page
from nsn_ref.experiments.paper import printed
from nsn_ref.experiments.paper.figures import against_rank
from nsn_ref.experiments.paper.recipe import trained_ranks
from nsn_ref.experiments.paper.setting import setting
from nsn_ref.experiments.tables import at_ranks, average, choices, difference, interval, mean, percent, table, values

PAGE = """{setting}

The nested network is trained at the ranks {trained}. At the ranks below, which it never saw, it is compared with a
factorised specialist trained at that rank alone, and with a nested network whose variant is any rank below {R}.

{table}

![Accuracy at every rank](interpolation.png)

Averaged over these ranks, the nested network differs from the specialists by {to_alone} points and from the one trained
at any rank by {to_all} points; wholly below zero lies the interval against specialists {losses}. {dips} of the {count}
ranks between trained ones are less accurate than the trained rank beneath. The paper prints averages only:
{paper_trained:.0f} % over trained and {paper_between:.0f} % over interpolated ranks for two cross-entropies; here, with
Eq. 3, {ours_trained} and {ours_between} %.

## What it means

A rank that training never saw falls behind a network of its own {losses}; as far as these splits tell, the others can
be used like trained ones. To train at any rank instead is {no}better for such ranks, averaged over them.
"""


def page(records):
    """Accuracies at untrained ranks, and a figure of every rank."""
    R, ranks = records[0]["options"]["R"], choices(records, "rank")
    trained = trained_ranks(R)
    nested, every = (
        {r: values(records, "accuracy", str(r), model=model) for r in range(1, R + 1)}
        for model in ("nested", "nested, any rank")
    )
    alone = {r: values(records, "accuracy", str(r), model="specialist", rank=r) for r in ranks}
    gap = {r: difference(nested[r], alone[r], 100) for r in ranks}
    between = [r for r in nested if r not in trained]
    head = ["rank", "nested", "specialist", "nested - specialist", "nested, any rank", "nested - nested, any rank"]
    rows = [
        [
            r, percent(nested[r]), percent(alone[r]), interval(gap[r]), percent(every[r]),
            interval(difference(nested[r], every[r], 100)),
        ]
        for r in ranks
    ]  # fmt: skip
    ours = average([nested[r] for r in ranks])
    to_all = difference(ours, average([every[r] for r in ranks]), 100)
    _, *paper = printed.ABLATION["two cross-entropies"]
    body = PAGE.format(
        setting=setting(records),
        trained=", ".join(map(str, trained)),
        R=R,
        table=table(head, rows),
        to_alone=interval(difference(ours, average([alone[r] for r in ranks]), 100)),
        to_all=interval(to_all),
        no="" if to_all.high < 0 else "not ",
        losses=at_ranks(r for r in ranks if gap[r].high < 0),
        count=len(between),
        dips=sum(mean(nested[r]) < mean(nested[max(t for t in trained if t < r)]) for r in between),
        paper_trained=100 * paper[0],
        paper_between=100 * paper[1],
        ours_trained=percent(average([nested[r] for r in trained])),
        ours_between=percent(ours),
    )
    return Page(body, {"interpolation.png": _figure(nested, every, alone, trained)})


def _figure(nested, every, alone, trained):
    lines = {"nested": nested, "nested, any rank": every, "specialists": alone}
    lines = {label: {r: 100 * mean(by_seed) for r, by_seed in line.items()} for label, line in lines.items()}
    figure = against_rank("Every rank of two nested networks", lines, "accuracy on held-out rows (%)")
    (axes,) = figure.axes
    for r in trained:
        axes.axvline(r, color="#999999", linewidth=0.6, linestyle=":")
    axes.set_xlabel("rank r; dotted: trained ranks of the first network")
    return figure
