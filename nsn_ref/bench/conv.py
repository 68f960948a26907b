"""The training step of convolutional nets, against every engine."""

from nsn_ref.bench import engines, step, targets
from nsn_ref.bench.cells import CONV_NETS, pair
from nsn_ref.bench.contest import contest, hire


def run(plan):
    """Time a step of each network; quick: of the small one."""
    cells = []
    for net in CONV_NETS[: 1 if plan.quick else None]:
        with hire(plan.contestants(engines.STEPPING), plan) as crew:
            cells.append(contest(pair(*net, dtype=plan.dtype, threads=plan.threads), crew, plan))
    return {"cells": cells, "dtype": plan.dtype, "threads": plan.threads}


def tables(record):
    """Times, and how many times as long as ours."""
    title = f"A training step of a convolutional net, {record['dtype']}, {record['threads']} threads"
    return [step.times(record)._replace(title=title), *targets.tables(record)]
