"""Time of a step along one axis: the rank, the width, the batch, the number of ranks trained per step."""

from dataclasses import replace
from typing import NamedTuple

from nsn_ref.bench import engines
from nsn_ref.bench.cells import NETS, Cell
from nsn_ref.bench.contest import contest, hire
from nsn_ref.bench.statistics import fit_line, median
from nsn_ref.bench.tables import Table, milliseconds

ROUNDS = 5  # at most: there are many points


class Sweep(NamedTuple):
    """What changes from cell to cell."""

    axis: str
    title: str
    points: object  # callable: quick -> list of (x, widths, R, ranks, rows)
    linear: bool  # whether a line is fitted


def _ranks(quick):
    widths, R, rows = NETS[0 if quick else 2]
    return [(R * i // 8, widths, R, (R * i // 8,), rows) for i in range(1, 9)]


def _widths(quick):
    widths = (64, 128, 256, 512, 1024, 2048)[: 3 if quick else 6]
    return [(d, (784, d, d, 10), d // 4, (d // 4, d // 16), 128) for d in widths]


def _batches(quick):
    widths, R, _ = NETS[0 if quick else 1]
    return [(n, widths, R, (R, R // 4), n) for n in (1, 4, 16, 64, 256, 1024)[: 4 if quick else 6]]


def _counts(quick):
    widths, R, rows = NETS[0 if quick else 1]
    return [(K, widths, R, tuple(R * (8 - k) // 8 for k in range(K)), rows) for K in range(1, 9)]


SWEEPS = {
    "ranks": Sweep("rank r, trained alone", "Time against the rank", _ranks, True),
    "width": Sweep("width d of 784-d-d-10, R = d / 4", "Time against the width", _widths, False),
    "batch": Sweep("rows of a batch", "Time against the batch", _batches, False),
    "count": Sweep("ranks K trained per step: R, 7 R / 8, ...", "Time against the number of ranks", _counts, True),
}


def run(name, plan):
    """Time a step at each point of a sweep."""
    plan, points = replace(plan, repeats=min(plan.rounds, ROUNDS)), []
    with hire(plan.contestants(engines.SWEEPING), plan) as crew:
        for x, *sizes in SWEEPS[name].points(plan.quick):
            cell = Cell(*sizes, dtype=plan.dtype, threads=plan.threads)
            points.append({"x": x} | contest(cell, crew, plan))
    return {"sweep": name, "points": points, "dtype": plan.dtype, "threads": plan.threads}


def series(record):
    """The medians by engine, each in the order of the points."""
    points = record["points"]
    return {name: [median(point["engines"][name]["ms"]) for point in points] for name in points[0]["engines"]}


def tables(record):
    """Milliseconds by engine along the axis, and the line through them."""
    sweep, points = SWEEPS[record["sweep"]], record["points"]
    names = list(points[0]["engines"])
    rows = [(str(p["x"]), *(milliseconds(p["engines"][name]["ms"]) for name in names)) for p in points]
    if sweep.linear:
        lines = [fit_line([p["x"] for p in points], series(record)[name]) for name in names]
        rows += [
            ("slope, ms", *(f"{line.slope:.4f}" for line in lines)),
            ("intercept, ms", *(f"{line.intercept:.3f}" for line in lines)),
            ("R squared", *(f"{line.r_squared:.4f}" for line in lines)),
        ]
    cell = Cell.from_json(points[-1]["cell"])
    note = f"The last row of times: {cell.name}, ranks {', '.join(map(str, cell.ranks))}."
    title = f"{sweep.title}, {record['dtype']}, {record['threads']} threads"
    return [Table(title, (sweep.axis, *names), rows, (note,))]
