"""What subnormal gradients cost the training step, which computes with them as they are."""

from nsn_ref.bench.cells import NETS, pair
from nsn_ref.bench.paired import take_turns, workers
from nsn_ref.bench.statistics import median
from nsn_ref.bench.tables import Table, milliseconds

GAPS = {"float32": (0, 80, 88), "float64": (0, 690, 720)}  # e^-gap: normal, near the smallest normal number, below it


def run(plan):
    """Time steps with and without subnormal gradients in turns."""
    cells = []
    for net in NETS[: 1 if plan.quick else 3]:
        cell = pair(*net, dtype=plan.dtype, threads=plan.threads)
        plan.say(f"{cell.name}: subnormal gradients")
        tasks = {str(gap): {"cell": cell.to_json(), "gap": gap} for gap in GAPS[plan.dtype]}
        with workers(dict.fromkeys(tasks, "nsn_ref.bench.tasks.subnormal"), plan.threads) as crew:
            results = take_turns(crew, tasks, plan.rounds, plan.turn)
            shares = {gap: worker.ask("read", steps=1)["found"][0][0] for gap, worker in crew.items()}
        cells.append({"name": cell.name, "gaps": {gap: results[gap] | {"share": shares[gap]} for gap in tasks}})
    return {"cells": cells, "dtype": plan.dtype, "threads": plan.threads}


def tables(record):
    """Milliseconds by share of subnormal gradients, and how many times those without any."""
    rows = []
    for cell in record["cells"]:
        normal = median(next(iter(cell["gaps"].values()))["ms"])
        for gap, result in cell["gaps"].items():
            share, times = f"{100 * result['share']:.0f} %", f"{median(result['ms']) / normal:.2f}"
            rows.append((cell["name"], gap, share, milliseconds(result["ms"]), times))
    note = (
        "Milliseconds of our step, median and range. Rows of one class, whose logit lies above the others by the gap: "
        "the gradients of the logits begin at e^-gap. Subnormal numbers are kept, not flushed to zero."
    )
    title = f"Subnormal gradients, {record['dtype']}, {record['threads']} threads"
    return [Table(title, ("net (R, batch)", "gap", "subnormal gradients", "step", "/ gap 0"), rows, (note,))]
