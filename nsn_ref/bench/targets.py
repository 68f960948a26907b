"""What was asked of the training step, and what was reached."""

from nsn_ref.bench.statistics import geometric_mean, median
from nsn_ref.bench.tables import Table

PEERS = ("torch", "torch-compile", "jax")
EACH, MEAN, SMALLEST, REFERENCE_EACH, REFERENCE_MEAN = 1.0, 1.5, 3.0, 1.0, 1.5


def tables(record):
    """How many times the time of ours the best peer and the reference take, by network; and the targets.

    Nothing without an engine to compare with; no targets but for all four networks in float32.
    """
    peers = [name for name in PEERS if name in record["cells"][0]["engines"]]
    rivals = {"best peer": peers} if peers else {}
    if "reference" in record["cells"][0]["engines"]:
        rivals["reference"] = ["reference"]
    ratios = {rival: [ratio(cell, names) for cell in record["cells"]] for rival, names in rivals.items()}
    if not ratios:
        return []
    names = [cell["name"] for cell in record["cells"]]
    rows = [(rival, *(f"{r:.2f}" for r in each), f"{geometric_mean(each):.2f}") for rival, each in ratios.items()]
    notes = (f"The best peer is the fastest of {', '.join(peers)}.",) if peers else ()
    shown = [Table("How many times as long as ours", ("", *names, "geometric mean"), rows, notes)]
    return [*shown, reached(ratios)] if len(names) == 4 and record["dtype"] == "float32" else shown


def ratio(cell, names):
    """The time of the fastest of some engines over ours."""
    times = {name: median(result["ms"]) for name, result in cell["engines"].items()}
    return min(times[name] for name in names) / times["ours"]


def reached(ratios):
    """The targets as a table."""
    rows = []
    for rival, each, mean in (("best peer", EACH, MEAN), ("reference", REFERENCE_EACH, REFERENCE_MEAN)):
        if rival not in ratios:
            continue
        rows.append(_row(f"{rival} / ours, the worst network", each, min(ratios[rival])))
        rows.append(_row(f"{rival} / ours, geometric mean", mean, geometric_mean(ratios[rival])))
        if rival == "best peer":
            rows.append(_row(f"{rival} / ours, the smallest network", SMALLEST, ratios[rival][0]))
    return Table("Targets", ("", "asked", "reached", "met"), rows)


def _row(what, asked, got):
    return what, f"{asked:.2f}", f"{got:.2f}", "yes" if got >= asked else "no"
