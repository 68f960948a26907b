"""The page of `weighting`."""

from nsn_ref.experiments.experiment import Page
from nsn_ref.experiments.paper.averages import HEAD, cells_of, gaps_of, scores_of
from nsn_ref.experiments.paper.figures import dots
from nsn_ref.experiments.paper.setting import setting
from nsn_ref.experiments.tables import choices, interval, listed, mean, table, values

BASE = "Eq. 3"
PAGE = """{setting}

A step weighs two losses, that of rank R and that of a variant, drawn uniformly from the other trained ranks. The paper
compares Eq. 3 with nothing else; its reviewers asked for GradNorm and why exp(-s). The weightings are described in
[training](../training.md). Each difference is to "{base}". "Stopped" counts the splits on which a weight ceased to
exist before the end, because it divides by a loss that had become zero in float32; the network before that step counts.

{table}

![Averages by weighting](weighting.png)

Averaged over the trained ranks, the interval lies wholly above zero for {better}; wholly below for {worse}. Over the
interpolated ranks it lies wholly above zero for {better_between}; wholly below for {worse_between}. Did not reach the
end on some split: {stopped}.

## What it means

A plain sum in place of Eq. 3 changes the average over the trained ranks by {plain} points, GradNorm by {gradnorm}: that
is what learned weights are worth here. Weights that divide by the loss favour the rank whose loss is smallest, which is
the one that needs it least; 1 / L changes the average by {analytic} points.
"""


def page(records):
    """Averages by weighting, and their differences from Eq. 3."""
    names = choices(records, "weighting")
    scores = {name: scores_of(records, weighting=name) for name in names}
    gaps = {name: gaps_of(scores[name], scores[BASE]) for name in names}
    stopped = {
        name: sum(step is not None for step in values(records, "stopped_after", weighting=name).values())
        for name in names
    }
    rows = [[name, *cells_of(scores[name], None if name == BASE else gaps[name]), stopped[name]] for name in names]
    body = PAGE.format(
        setting=setting(records),
        base=BASE,
        table=table(["weighting", *HEAD, "stopped"], rows),
        better=listed(name for name in names if gaps[name]["trained"].low > 0),
        worse=listed(name for name in names if gaps[name]["trained"].high < 0),
        better_between=listed(name for name in names if gaps[name]["interpolated"].low > 0),
        worse_between=listed(name for name in names if gaps[name]["interpolated"].high < 0),
        plain=interval(gaps["plain sum"]["trained"]),
        gradnorm=interval(gaps["GradNorm"]["trained"]),
        analytic=interval(gaps["analytic, 1 / L"]["trained"]),
        stopped=listed(name for name in names if stopped[name]),
    )
    shown = {name: {kind: 100 * mean(by_seed) for kind, by_seed in scores[name].items()} for name in names}
    return Page(body, {"weighting.png": dots("Averages over ranks", shown, "accuracy on held-out rows (%)")})
