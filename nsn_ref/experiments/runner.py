"""Running the cells that have no record yet, and one cell in whatever process it is."""

import contextlib
import time
import traceback
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

from nsn_ref.errors import CellError, ClusterError, NSNError
from nsn_ref.experiments.code_version import code_version
from nsn_ref.experiments.records import Cell, new_record


class Job(NamedTuple):
    """A task, and where its record belongs."""

    cell: Cell
    module: str
    store: object  # Store; None where the process does not see its folder


class Failure(NamedTuple):
    """A cell that has no result."""

    cell: Cell
    error: str  # one line
    details: str  # the traceback of an error that is none of ours


def complete(tasks, store, execute, *, progress=lambda done, total: None):
    """The records of tasks, in their order; only those that have none are run.

    Parameters
    ----------
    tasks : sequence of Task
    store : Store
    execute : callable
        ``execute(tasks, store)``: yields the record or `Failure` of each task, as they come.
    progress : callable
        ``progress(done, total)``, in cells, at the start and after each.

    Returns
    -------
    list of dict

    Raises
    ------
    FileError
        A record was altered; nothing was run.
    CellError
        Cells failed; all others are recorded.
    """
    by_key = {task.cell.key: task for task in tasks}
    records = {key: store.read(task.cell) for key, task in by_key.items()}
    missing = [task for key, task in by_key.items() if records[key] is None]
    done, failures = len(by_key) - len(missing), []
    progress(done, len(by_key))
    with contextlib.closing(execute(missing, store)) as outcomes:
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                failures.append(outcome)
            else:
                records[_keep(outcome, store)] = outcome
            done += 1
            progress(done, len(by_key))
    if failures:
        raise CellError(_describe(failures, len(by_key)))
    return [records[task.cell.key] for task in tasks]


def run_job(job, data):
    """Run a cell in this process with one BLAS thread, unless it has a record; never raises.

    Parameters
    ----------
    job : Job
    data : Data or None

    Returns
    -------
    dict or Failure
    """
    cell, store = job.cell, job.store
    try:
        with contextlib.nullcontext() if store is None else store.claimed(cell):
            record = None if store is None else store.read(cell)
            if record is None:
                record = _computed(cell, job.module, data)
                if store is not None:
                    store.write(record)
        return record
    except Exception as error:
        details = "" if isinstance(error, NSNError) else traceback.format_exc()
        return Failure(cell, f"{type(error).__name__}: {error}", details)


def _computed(cell, module, data):
    from importlib import import_module

    import threadpoolctl

    experiment = import_module(module).EXPERIMENT
    code = code_version(experiment.run.__module__)
    if code != cell.code:
        raise ClusterError(f"the code here is {code}, expected {cell.code}: install the same version everywhere")
    with threadpoolctl.threadpool_limits(1):
        began, worked = time.perf_counter(), time.thread_time()
        result = dict(experiment.run(data, cell.options, cell.seed))
        wall, cpu = time.perf_counter() - began, time.thread_time() - worked
        environment = _environment()
    made = {
        "seconds": result.pop("seconds", None),
        "wall_seconds": round(wall, 3),
        "cpu_seconds": round(cpu, 3),  # less than the former where others want the core, too
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": environment,
    }
    return new_record(cell, result, made)


@cache
def _environment():
    from nsn_ref.experiments.digits import processor
    from nsn_ref.training.run import environment

    return environment() | {"processor": processor()}


def _keep(record, store):
    """Write what a process that does not see the folder has sent; the key of the record."""
    cell = Cell(**record["cell"])
    if not store.path(cell).exists():
        store.write(record)
    return cell.key


def _describe(failures, total):
    first = failures[0]
    where = f"{first.cell.experiment}, seed {first.cell.seed}, options {first.cell.options}"
    return (
        f"{len(failures)} of {total} cells failed, the others are recorded; the first: {where}: "
        f"{first.error}\n{first.details}"
    ).rstrip()
