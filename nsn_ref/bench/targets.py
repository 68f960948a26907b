"""What was asked of the training step, and what was reached: with the default BLAS, and with MKL."""

from typing import NamedTuple

from nsn_ref.bench.statistics import geometric_mean, median
from nsn_ref.bench.tables import Table

PEERS = ("torch", "torch-compile", "jax")


class Asked(NamedTuple):
    """How many times as long as one of our engines others should take."""

    each: float
    mean: float
    smallest: float | None = None


ASKED = {
    ("best peer", "ours"): Asked(1.0, 1.5, 3.0),
    ("best peer", "ours-mkl"): Asked(1.2, 2.0),
    ("reference", "ours"): Asked(1.0, 1.5),
}


def tables(record):
    """How many times the time of ours the best peer and the reference take, by network; and the targets.

    Nothing without an engine to compare with; no targets but for all four networks in float32.
    """
    present = record["cells"][0]["engines"]
    rivals = {"best peer": [name for name in PEERS if name in present], "reference": ["reference"]}
    ratios = {
        (rival, ours): [ratio(cell, rivals[rival], ours) for cell in record["cells"]]
        for rival, ours in ASKED
        if rivals[rival] and present.keys() >= {ours, *rivals[rival]}
    }
    if not ratios:
        return []
    names = [cell["name"] for cell in record["cells"]]
    rows = [
        (" / ".join(pair), *(f"{r:.2f}" for r in each), f"{geometric_mean(each):.2f}") for pair, each in ratios.items()
    ]
    notes = (f"The best peer is the fastest of {', '.join(rivals['best peer'])}.",) if rivals["best peer"] else ()
    shown = [Table("How many times as long as ours", ("", *names, "geometric mean"), rows, notes)]
    return [*shown, reached(ratios)] if len(names) == 4 and record["dtype"] == "float32" else shown


def ratio(cell, names, ours):
    """The time of the fastest of some engines over that of one of ours."""
    times = {name: median(result["ms"]) for name, result in cell["engines"].items()}
    return min(times[name] for name in names) / times[ours]


def reached(ratios):
    """The targets as a table."""
    rows = []
    for pair, each in ratios.items():
        asked, what = ASKED[pair], " / ".join(pair)
        rows.append(_row(f"{what}, the worst network", asked.each, min(each)))
        rows.append(_row(f"{what}, geometric mean", asked.mean, geometric_mean(each)))
        if asked.smallest is not None:
            rows.append(_row(f"{what}, the smallest network", asked.smallest, each[0]))
    return Table("Targets", ("", "asked", "reached", "met"), rows)


def _row(what, asked, got):
    return what, f"{asked:.2f}", f"{got:.2f}", "yes" if got >= asked else "no"
