"""The digits experiment in figures: means and intervals, a plot, and the files; all computed from the record."""

import io
import json
from typing import NamedTuple

from nsn_ref.experiments.digits import FOLDS
from nsn_ref.experiments.digits_page import page
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

    image = Figure(figsize=(9.6, 4.2), dpi=110, layout="constrained")
    left, right = image.subplots(1, 2)
    trained = [row for row in rows if row.trained]
    untrained = [row for row in rows if not row.trained]
    _draw_accuracies(left, rows, trained, untrained)
    _draw_differences(right, trained, untrained)
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    buffer = io.BytesIO()
    image.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw_accuracies(axes, rows, trained, untrained):
    for label, model, chosen, style in (
        ("nested, trained ranks", "nested", trained, {"marker": "o", "linestyle": "-", "color": "#0b3c6f"}),
        ("nested, untrained ranks", "nested", untrained,
         {"marker": "o", "linestyle": "none", "markerfacecolor": "white", "color": "#0b3c6f"}),
        ("specialists", "specialist", rows, {"marker": "s", "linestyle": "--", "color": "#b4460f"}),
        ("dense, equal FLOPs", "dense", trained, {"marker": "^", "linestyle": "-.", "color": "#3c7d3c"}),
        ("trained at R only, truncated", "truncated", rows, {"marker": "x", "linestyle": ":", "color": "#444444"}),
    ):  # fmt: skip
        axes.plot([r.rank for r in chosen], [r.accuracy[model] for r in chosen], label=label, markersize=5, **style)
    axes.set(xlabel="rank r", ylabel="accuracy on held-out scans (%)", title="Accuracy")
    axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0.24, 0.12))


def _draw_differences(axes, trained, untrained):
    from matplotlib.ticker import FixedLocator

    for label, rival, chosen, marker, colour, shift in (
        ("specialists, trained ranks", "specialist", trained, "s", "#b4460f", 0.97),
        ("specialists, untrained ranks", "specialist", untrained, "D", "#0b3c6f", 1.0),
        ("dense, equal FLOPs", "dense", trained, "^", "#3c7d3c", 1.03),
    ):
        each = [row.difference[rival] for row in chosen]
        errors = [[i.mean - i.low for i in each], [i.high - i.mean for i in each]]
        axes.errorbar(
            [row.rank * shift for row in chosen], [i.mean for i in each], errors,
            fmt=marker, color=colour, capsize=3, markersize=5, label=f"nested minus {label}",
            markerfacecolor="white" if chosen is untrained else colour,
        )  # fmt: skip
    axes.axhline(0, color="black", linewidth=0.8)
    axes.axhspan(-1, 1, color="#eeeeee", zorder=0)
    axes.set(
        xlabel="rank r", ylabel="percentage points (beyond 2: log scale)", title="Paired differences, 95 % intervals"
    )
    axes.set_yscale("symlog", linthresh=2, subs=[2, 5])
    axes.yaxis.set_major_locator(FixedLocator([-50, -20, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20, 50]))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+.0f}" if value else "0")
    lowest = min(row.difference[rival].low for row in trained for rival in ("specialist", "dense"))
    axes.set_ylim(bottom=min(4 * lowest, -5))  # room for the legend
    axes.legend(fontsize=8, loc="lower right")


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
