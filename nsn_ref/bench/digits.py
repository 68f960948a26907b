"""Digits end to end: a whole training by the recipe of `nsn-ref train digits`."""

import time

from nsn_ref.bench import engines, equality
from nsn_ref.bench.paired import workers
from nsn_ref.bench.recipe import COMPARED
from nsn_ref.bench.statistics import median
from nsn_ref.bench.tables import Table

ASKED = 3.0
EPOCHS, QUICK_EPOCHS, ROUNDS = 120, 4, 5  # at most so many rounds: each is a whole training


def run(plan):
    """Train again and again, in turns."""
    names = plan.contestants(engines.DIGITS)
    modules = {name: engines.path(engines.ENGINES[name].digits) for name in names}
    task = {"epochs": QUICK_EPOCHS if plan.quick else EPOCHS, "threads": plan.threads}
    record = {"threads": plan.threads, "epochs": task["epochs"], "engines": {}}
    with workers(modules, plan.threads) as crew:
        for name, worker in crew.items():
            plan.say(f"digits: {name} for the first time")
            began = time.perf_counter()
            worker.ask("make", task=task)
            *losses, accuracy = worker.ask("read", steps=1)["found"][0]
            first = time.perf_counter() - began
            record["engines"][name] = {"accuracy": accuracy, "losses": losses, "first_seconds": first, "seconds": []}
        agree(record["engines"])
        for i in range(min(plan.rounds, ROUNDS)):
            plan.say(f"digits: round {i + 1}")
            for name, worker in crew.items():
                record["engines"][name]["seconds"].append(worker.ask("run", steps=1)["seconds"])
    return record


def agree(results):
    """Check that the losses of the first steps are those of ours, where the engine follows the recipe.

    Raises
    ------
    NSNError
    """
    expected = results["ours"]["losses"]
    for name, result in results.items():
        if name != "sklearn":
            equality.check(name, [result["losses"]], [expected], equality.TOLERANCE["float32"])


def tables(record):
    """Seconds and accuracy by engine."""
    ours = median(record["engines"]["ours"]["seconds"])
    rows = []
    for name, result in record["engines"].items():
        seconds = result["seconds"]
        times = f"{median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f})"
        first, accuracy = f"{result['first_seconds']:.2f}", f"{100 * result['accuracy']:.1f} %"
        rows.append((name, times, f"{median(seconds) / ours:.2f}", first, accuracy))
    notes = [
        f"Seconds of a training of {record['epochs']} epochs, median and range; the process and its imports are in the "
        f"first one only. Equal parameters at the start, batches, ranks and rates: the losses of the first {COMPARED} "
        "steps agree. Ours writes its metrics and checkpoints too. Accuracy on held-out scans, at rank R.",
    ]
    if "sklearn" in record["engines"]:
        notes.append("sklearn: MLPClassifier, a dense network of the same widths at one rank, without clipping.")
    if "torch" in record["engines"]:
        got = median(record["engines"]["torch"]["seconds"]) / ours
        notes.append(f"Asked: torch / ours at least {ASKED:.1f}; reached {got:.2f}.")
    title = f"Digits end to end, {record['threads']} threads"
    return [Table(title, ("", "s", "/ ours", "first, s", "accuracy"), rows, notes)]
