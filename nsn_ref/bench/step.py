"""The training step of the four networks of the targets, against every engine."""

from types import MappingProxyType

from nsn_ref.bench import engines, roofline, targets
from nsn_ref.bench.cells import NETS, pair
from nsn_ref.bench.contest import contest, hire
from nsn_ref.bench.paired import workers
from nsn_ref.bench.tables import Table, milliseconds


def run(plan):
    """Time a step of each network, and its products alone."""
    record = contests(plan, engines.STEPPING, {"products": "nsn_ref.bench.tasks.products"})
    return record | {"peak": roofline.peak(plan)}


def contests(plan, among, others=MappingProxyType({})):
    """Time a step of each network; quick: of the two small ones.

    Parameters
    ----------
    plan : Plan
    among : sequence of str
        The engines that take part, if they are asked for.
    others : dict of str to str
        Modules that take turns with them, by name.

    Returns
    -------
    dict
    """
    cells = []
    for net in NETS[: 2 if plan.quick else None]:
        cell = pair(*net, dtype=plan.dtype, threads=plan.threads)
        with hire(plan.contestants(among), plan) as crew, workers(others, plan.threads) as extra:
            cells.append(contest(cell, crew, plan, extra))
    return {"cells": cells, "dtype": plan.dtype, "threads": plan.threads}


def tables(record):
    """Times, targets, and how near the machine's limit."""
    return [times(record), *targets.tables(record), roofline.table(record)]


def times(record):
    """Milliseconds of a step by engine."""
    cells = record["cells"]
    names = [name for name in cells[0]["engines"] if name != "products"]
    rows = [(cell["name"], *(milliseconds(cell["engines"][name]["ms"]) for name in names)) for cell in cells]
    notes = (
        "Milliseconds, median and range over the rounds. A step: forward and backward at the ranks R and R / 4, the "
        "learned-uncertainty objective, AdamW.",
        "Before, the losses of five steps that move the weights agreed with the reference operations in float64: "
        f"largest relative difference {_largest(cells):.1e}.",
        "From an engine's import to its first step done, compilation among it (caches as they were), in seconds: "
        f"{_first(cells, names)}.",
    )
    title = f"A training step, {record['dtype']}, {record['threads']} threads"
    return Table(title, ("net (R, batch)", *names), rows, notes)


def _largest(cells):
    return max(result.get("difference", 0.0) for cell in cells for result in cell["engines"].values())


def _first(cells, names):
    slowest = {name: max(cell["engines"][name]["first_seconds"] for cell in cells) for name in names}
    return ", ".join(f"{name} at most {seconds:.1f}" for name, seconds in slowest.items())
