"""The page of `ablation`."""

from nsn_ref.experiments.experiment import Page
from nsn_ref.experiments.paper import printed
from nsn_ref.experiments.paper.averages import HEAD, cells_of, gaps_of, scores_of
from nsn_ref.experiments.paper.figures import dots
from nsn_ref.experiments.paper.setting import setting
from nsn_ref.experiments.tables import choices, interval, listed, mean, table

BASE = "two cross-entropies"
PAGE = """{setting}

Each row trains one network. "One cross-entropy" is that of rank R alone; "two" are those of R and of a variant that is
drawn uniformly from the other trained ranks, unweighted; what follows is added to it or replaces the draw. "All" takes
every trained rank at every step; "any rank" draws from all ranks below R, so that the interpolated ranks are trained
too. (Over ranks that double, the log-uniform draw is the uniform one.) Regularisers are means over the batch, summed
over the layers, with the coefficient 1 unless another is named: the paper gives none. The rows without numbers of the
paper are ours: smaller coefficients, and what Eq. 3 and each curriculum do alone.

"Trained" averages over the ranks {trained_ranks}, "interpolated" over {interpolated_ranks}; each difference is to the
row "{base}".

{table}

![Averages by row](ablation.png)

Averaged over the trained ranks, the interval lies wholly above zero for {better}; wholly below for {worse}. Over the
interpolated ranks it lies wholly above zero for {better_between}; wholly below for {worse_between}. The weights of Eq.
3 alone change the average over the trained ranks by {eq_3} points.

## What it means

What makes low ranks good is that they are trained: without the second cross-entropy the average over the trained ranks
changes by {alone} points. Of all that is added to it or replaces its draw, it is raised beyond noise by: {better}.
"""


def page(records):
    """Averages by row, and their differences from the plain sum of two cross-entropies."""
    first, rows = records[0]["result"], choices(records, "row")
    scores = {row: scores_of(records, row=row) for row in rows}
    gaps = {row: gaps_of(scores[row], scores[BASE]) for row in rows}
    lines = [
        [row, *cells_of(scores[row], None if row == BASE else gaps[row]), _printed(printed.ABLATION.get(row, ()))]
        for row in rows
    ]
    body = PAGE.format(
        setting=setting(records),
        base=BASE,
        table=table(["row", *HEAD, "highest, trained, interpolated (paper)"], lines),
        trained_ranks=", ".join(first["trained"]),
        interpolated_ranks=", ".join(first["interpolated"]),
        better=listed(row for row in rows if gaps[row]["trained"].low > 0),
        worse=listed(row for row in rows if gaps[row]["trained"].high < 0),
        better_between=listed(row for row in rows if gaps[row]["interpolated"].low > 0),
        worse_between=listed(row for row in rows if gaps[row]["interpolated"].high < 0),
        alone=interval(gaps["one cross-entropy"]["trained"]),
        eq_3=interval(gaps["two cross-entropies, Eq. 3"]["trained"]),
    )
    shown = {row: {name: 100 * mean(by_seed) for name, by_seed in scores[row].items()} for row in rows}
    return Page(body, {"ablation.png": dots("Averages over ranks", shown, "accuracy on held-out rows (%)")})


def _printed(shares):
    return ", ".join(f"{100 * share:.0f}" for share in shares)
