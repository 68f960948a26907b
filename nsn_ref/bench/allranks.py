"""A network evaluated at all of its ranks: in one call, against loops over the ranks."""

from dataclasses import replace

from nsn_ref.bench import engines
from nsn_ref.bench.cells import NETS, pair
from nsn_ref.bench.contest import truth
from nsn_ref.bench.equality import TOLERANCE
from nsn_ref.bench.paired import agree, take_turns, workers
from nsn_ref.bench.tables import Table, milliseconds
from nsn_ref.bench.targets import PEERS, ratio

ROWS = (1024, 1024, 128)  # of the first three networks
CHECKED = 2  # batches


def run(plan):
    """Time each network."""
    names = plan.contestants(engines.ALL_RANKS)
    modules = {name: engines.path(engines.ENGINES[name].all_ranks) for name in names}
    cells = []
    for net, rows in list(zip(NETS, ROWS, strict=False))[: 1 if plan.quick else None]:
        cell = replace(pair(*net, dtype=plan.dtype, threads=plan.threads), rows=rows)
        plan.say(f"{cell.name}: all ranks")
        with workers(modules, plan.threads) as crew:
            tasks = dict.fromkeys(crew, cell.to_json())
            facts = agree(crew, tasks, truth(cell, "all_ranks_reference", CHECKED), TOLERANCE[cell.dtype])
            results = take_turns(crew, tasks, plan.rounds, plan.turn)
        timed = {name: results[name] | facts[name] for name in crew}
        cells.append({"cell": cell.to_json(), "name": cell.name, "engines": timed})
    return {"cells": cells, "dtype": plan.dtype, "threads": plan.threads}


def tables(record):
    """Milliseconds by engine, and how many times as long as ours the best peer takes."""
    names = list(record["cells"][0]["engines"])
    peers = [name for name in PEERS if name in names]
    rows = []
    for cell in record["cells"]:
        times = [milliseconds(cell["engines"][name]["ms"]) for name in names]
        rows.append((cell["name"], *times, *([f"{ratio(cell, peers, 'ours'):.2f}"] if peers else [])))
    columns = "net (R, rows)", *names, *(["best peer / ours"] if peers else [])
    note = (
        "Milliseconds, median and range: loss and accuracy of all rows at every rank 1..R. Ours is one call; the "
        "others loop over the ranks. The losses of all ranks agree."
    )
    return [Table(f"All ranks of a network, {record['dtype']}, {record['threads']} threads", columns, rows, (note,))]
