"""Peak growth of resident memory over a training run, against what must be stored."""

import math

from nsn_ref.bench.cells import NETS, Cell, pair
from nsn_ref.bench.paired import workers
from nsn_ref.bench.tables import Table

STEPS = 20
FACTOR, ALLOWANCE = 1.15, 20e6  # asked: at most FACTOR x the formula + ALLOWANCE bytes
BYTES = {"float32": 4, "float64": 8}


def run(plan):
    """Train each network in a process of its own."""
    runs = []
    for widths, R, n in NETS[:2] if plan.quick else NETS:
        cell = pair(widths, R, n, dtype=plan.dtype, threads=plan.threads)
        plan.say(f"{cell.name}: memory")
        with workers({"memory": "nsn_ref.bench.tasks.peak_memory"}, plan.threads) as crew:
            crew["memory"].ask("make", task={"cell": cell.to_json(), "steps": STEPS})
            growth = crew["memory"].ask("read", steps=1)["found"][0][0]
        runs.append({"cell": cell.to_json(), "growth": growth})
    return {"runs": runs, "steps": STEPS, "dtype": plan.dtype}


def parameters(cell):
    """How many numbers are trained, the log-variances among them."""
    return sum(math.prod(shape) for shape in cell.net().shapes().values())


def activations(cell):
    """Numbers that a step saves: inputs of the layers, and those of B; rank by rank where the ranks share no rows.

    The input and the products with A of the first layer are there once, for the largest rank.
    """
    n, widths, ranks = cell.rows, cell.widths, cell.ranks
    shared = widths[0] + max(ranks)
    by_rank = len(ranks) * sum(widths[1:]) + (len(widths) - 3) * sum(ranks)
    return n * (shared + by_rank)


def formula(cell):
    """Bytes: parameters, gradients, two moments, saved activations."""
    return BYTES[cell.dtype] * (4 * parameters(cell) + activations(cell))


def tables(record):
    """Growth and formula by network."""
    rows = []
    for entry in record["runs"]:
        cell = Cell.from_json(entry["cell"])
        must, growth = formula(cell), entry["growth"]
        allowed = FACTOR * must + ALLOWANCE
        sizes = (f"{size / 1e6:.1f}" for size in (must, allowed, growth))
        rows.append((cell.name, *sizes, "yes" if growth <= allowed else "no"))
    notes = (
        f"MB, at the peak of {record['steps']} steps of `train` in a fresh process, above what it held after imports, "
        "the loading of compiled code and the data.",
        "The formula: parameters, gradients and two moments; the inputs of all layers and of their factors B at both "
        f"ranks; the logits. Asked: at most {FACTOR} times the formula and {ALLOWANCE / 1e6:.0f} MB.",
    )
    title = f"Memory of a training run, {record['dtype']}"
    return [Table(title, ("net (R, batch)", "formula", "asked", "growth", "met"), rows, notes)]
