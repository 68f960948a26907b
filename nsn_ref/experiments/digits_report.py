"""The digits experiment as a table, a figure and a page; everything is computed from the record."""

import io
import json
from typing import NamedTuple

from nsn_ref.experiments.digits import FOLDS
from nsn_ref.experiments.digits_data import CLASSES, WIDTH
from nsn_ref.experiments.paired import corrected_interval
from nsn_ref.files import made_folder, write_atomically

RIVALS = ("specialist", "truncated", "dense")


class Row(NamedTuple):
    """One rank, means over the splits."""

    rank: int
    trained: bool
    accuracy: dict  # model to percent
    difference: dict  # rival to Interval of nested - rival, in percentage points


def summary(record):
    """Means and paired intervals by rank.

    Parameters
    ----------
    record : dict
        From `nsn_ref.experiments.digits.run`.

    Returns
    -------
    list of Row, by rank
    """
    splits, trained = record["splits"], record["plan"]["trained"]
    rows = []
    for rank in sorted((*trained, *record["plan"]["untrained"])):
        values = {
            model: [100 * split[model][str(rank)] for split in splits]
            for model in ("nested", *RIVALS)
            if str(rank) in splits[0][model]
        }
        difference = {
            rival: corrected_interval(
                [a - b for a, b in zip(values["nested"], values[rival], strict=True)], 1 / (FOLDS - 1)
            )
            for rival in RIVALS
            if rival in values
        }
        mean = {model: sum(each) / len(each) for model, each in values.items()}
        rows.append(Row(rank, rank in trained, mean, difference))
    return rows


def figure(rows):
    """Two panels: accuracy by rank of every model, and the paired differences with their intervals; PNG bytes."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator

    image = Figure(figsize=(9.6, 4.2), dpi=110, layout="constrained")
    left, right = image.subplots(1, 2)
    trained = [row for row in rows if row.trained]
    untrained = [row for row in rows if not row.trained]
    for label, model, chosen, style in (
        ("nested, trained ranks", "nested", trained, {"marker": "o", "linestyle": "-", "color": "#0b3c6f"}),
        ("nested, untrained ranks", "nested", untrained,
         {"marker": "o", "linestyle": "none", "markerfacecolor": "white", "color": "#0b3c6f"}),
        ("specialists", "specialist", rows, {"marker": "s", "linestyle": "--", "color": "#b4460f"}),
        ("dense, equal FLOPs", "dense", trained, {"marker": "^", "linestyle": "-.", "color": "#3c7d3c"}),
        ("trained at R only, truncated", "truncated", rows, {"marker": "x", "linestyle": ":", "color": "#444444"}),
    ):  # fmt: skip
        left.plot([r.rank for r in chosen], [r.accuracy[model] for r in chosen], label=label, markersize=5, **style)
    left.set(xlabel="rank r", ylabel="accuracy on held-out scans (%)", title="Accuracy")
    left.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0.24, 0.12))
    for label, rival, chosen, marker, colour, shift in (
        ("specialists, trained ranks", "specialist", trained, "s", "#b4460f", 0.97),
        ("specialists, untrained ranks", "specialist", untrained, "D", "#0b3c6f", 1.0),
        ("dense, equal FLOPs", "dense", trained, "^", "#3c7d3c", 1.03),
    ):
        each = [row.difference[rival] for row in chosen]
        errors = [[i.mean - i.low for i in each], [i.high - i.mean for i in each]]
        right.errorbar(
            [row.rank * shift for row in chosen], [i.mean for i in each], errors,
            fmt=marker, color=colour, capsize=3, markersize=5, label=f"nested minus {label}",
            markerfacecolor="white" if chosen is untrained else colour,
        )  # fmt: skip
    right.axhline(0, color="black", linewidth=0.8)
    right.axhspan(-1, 1, color="#eeeeee", zorder=0)
    right.set(
        xlabel="rank r", ylabel="percentage points (beyond 2: log scale)", title="Paired differences, 95 % intervals"
    )
    right.set_yscale("symlog", linthresh=2, subs=[2, 5])
    right.yaxis.set_major_locator(FixedLocator([-50, -20, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20, 50]))
    right.yaxis.set_major_formatter(lambda value, _: f"{value:+.0f}" if value else "0")
    lowest = min(row.difference[rival].low for row in trained for rival in ("specialist", "dense"))
    right.set_ylim(bottom=min(4 * lowest, -5))  # room for the legend
    right.legend(fontsize=8, loc="lower right")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    buffer = io.BytesIO()
    image.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def page(record, rows):
    """The results as Markdown."""
    plan, environment = record["plan"], record["environment"]
    trained, untrained = ([row for row in rows if row.trained is flag] for flag in (True, False))
    cut = [row for row in trained if row.rank < plan["R"]]
    high, low = ([row for row in trained if (row.rank >= 4) is flag] for flag in (True, False))
    return PAGE.format(
        command=record["command"],
        widths="-".join(map(str, (WIDTH, *plan["hidden"], CLASSES))),
        R=plan["R"],
        rows=record["rows"],
        splits=len(record["splits"]),
        folds=FOLDS,
        **record["settings"],
        lr_s=record["nested"]["lr_s"],
        specialists=_table(trained, "specialist", record),
        high=_ranks(high),
        near=_ranks([row for row in high if row.difference["specialist"].mean >= -1]),
        low="; ".join(f"{row.difference['specialist'].mean:+.1f} at rank {row.rank}" for row in low),
        dense=_table(trained, "dense", record),
        dense_better=_ranks([row for row in trained if row.difference["dense"].high < 0]),
        truncated=_table(cut, "truncated", record),
        nested_better=_ranks([row for row in cut if row.difference["truncated"].low > 0]),
        untrained=_table(untrained, "specialist", record),
        untrained_worse=_ranks([row for row in untrained if row.difference["specialist"].high < 0]),
        processor=environment["processor"],
        threads=max(pool["num_threads"] for pool in environment["blas"]),
        **environment["versions"],
    )


PAGE = """# Results on digits

<!-- Written by the command below; edit nsn_ref/experiments/digits_report.py instead. -->

    {command}

One nested network {widths} with R = {R} against its rivals on all {rows:,} scans of scikit-learn's digits: {splits}
splits, stratified {folds}-fold cross-validation repeated with new folds. Pixels are standardised by the training folds
alone. A step of the nested network trains two ranks under Eq. 3 of arXiv:2509.17874v1, the anchor R and a variant drawn
uniformly from the other trained ranks; a step of a rival trains one network at one rank.

Every model is trained for {epochs} epochs with AdamW: learning rate {lr}, batches of {batch_size}, weight decay
{weight_decay}, {warmup_steps} steps of warm-up, cosine schedule, gradients clipped at norm {clip}. The log-variances
have the learning rate {lr_s}. Settings were chosen on other folds of the same scans: those that all models share among
learning rates 0.001 to 0.04, weight decays 0.01 to 1 and 60 to 200 epochs, by the accuracies of nested network and
rivals together.

Accuracies are means over the splits, in percent. Differences are nested minus rival, in percentage points, paired by
split, with corrected resampled 95 % t-intervals: splits share training rows, so the variance s^2 / J of a mean of J
differences is replaced by s^2 (1 / J + 1 / 4) (Nadeau & Bengio, Machine Learning 52, 2003). They are not adjusted for
the number of comparisons.

![Accuracy by rank, and paired differences](digits.png)

## Against specialists, at trained ranks

{specialists}

A specialist is a factorised network of one rank, trained alone at it (the paper's Fig. 2): the nested network stands in
for all of them with one set of weights. Of the ranks from 4 on ({high}), it is at most one point below the specialist
on average at {near}; below rank 4 the difference is {low}.

## Against dense networks of equal FLOPs

{dense}

A dense network has no factors, and hidden layers so narrow that its FLOPs are those of rank r (the paper's Fig. 4): it
is what the same arithmetic buys without nesting. The interval lies wholly below zero, for the dense network, at ranks
{dense_better}.

## Against a network trained at R only and truncated

{truncated}

The truncated network is the specialist of rank R cut to rank r (the paper's Fig. 2): nothing in its training orders its
components. The interval lies wholly above zero, for the nested network, at ranks {nested_better}.

## At ranks that training never saw

{untrained}

The nested network took no step at these ranks, which lie between those that it was trained at; the specialist was
trained at exactly that rank. The interval lies wholly below zero, for the specialist, at ranks {untrained_worse}.

## Made with

{processor}, Python {python}, NumPy {numpy}, nsn_ref {nsn_ref}, BLAS threads: {threads}. The seeds, and the accuracy of
every model on every split, are in [digits.json](digits.json).
"""


def write(folder, record):
    """Write digits.md, digits.json and digits.png; returns their paths.

    Raises
    ------
    FileError
    """
    folder = made_folder(folder)
    rows = summary(record)
    contents = {
        "digits.json": json.dumps(record, indent=1, allow_nan=False) + "\n",
        "digits.png": figure(rows),
        "digits.md": page(record, rows),
    }
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def _table(rows, rival, record):
    dense = rival == "dense"
    head = ["rank", "FLOPs", *(["width", "its FLOPs"] if dense else []), "nested", rival, "difference", "95 % interval"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        rank, difference = str(row.rank), row.difference[rival]
        matched = [str(record["dense_widths"][rank]), f"{record['dense_flops'][rank]:,}"] if dense else []
        accuracies = [f"{row.accuracy[model]:.1f}" for model in ("nested", rival)]
        interval = [f"{difference.mean:+.2f}", f"{difference.low:+.2f} to {difference.high:+.2f}"]
        lines.append([rank, f"{record['flops'][rank]:,}", *matched, *accuracies, *interval])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _ranks(rows):
    return ", ".join(str(row.rank) for row in rows) or "none"
