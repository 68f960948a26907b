"""Cells on the workers of a Dask cluster (extra `cluster`)."""

import contextlib
import warnings
from importlib import import_module
from typing import NamedTuple

from nsn_ref.errors import ClusterError, OptionError
from nsn_ref.experiments.code_version import code_version
from nsn_ref.experiments.records import Cell, shared_store
from nsn_ref.experiments.runner import Failure, Job, run_job

PATIENCE = 10  # seconds until a scheduler that has not answered is given up


class Sent(NamedTuple):
    """A cell, and where the client keeps its record."""

    cell: Cell
    module: str
    folder: str
    mark: str  # tells this folder from another of the same path


@contextlib.contextmanager
def connected(address, patience=PATIENCE):
    """A client of a scheduler.

    Parameters
    ----------
    address : str
        As ``tcp://host:8786``.
    patience : float
        Seconds.

    Yields
    ------
    distributed.Client

    Raises
    ------
    OptionError
        Dask is not installed.
    ClusterError
        Nobody answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise OptionError(
            f"--scheduler: {error}; expected the extra 'cluster': python -m pip install 'nsn_ref[cluster]'"
        ) from error
    try:
        client = Client(address, timeout=patience, set_as_default=False)
    except (OSError, ValueError) as error:  # a timeout is the former, an address that is none the latter
        raise ClusterError(f"{address}: no scheduler answers within {patience} s: {error}") from error
    with client:
        yield client


def execute(tasks, store, client):
    """Run tasks on the workers of a cluster.

    A worker that sees the folder of the records writes them there itself, so that what it finishes outlives the client.
    Records from other workers are written by the client.

    Parameters
    ----------
    tasks : sequence of Task
    store : Store
    client : distributed.Client

    Yields
    ------
    dict or Failure
        As they come.

    Raises
    ------
    ClusterError
        A worker has other code, or the scheduler is lost.
    """
    from distributed import as_completed

    _check_workers(client, tasks)
    mark, folder = store.mark(), str(store.folder.resolve())
    data = {task.data.sha256: task.data for task in tasks if task.data is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # data as large as that belongs in a graph: it outlives workers
        held = {key: client.submit(_itself, value, key=f"nsn-{mark}-{key}") for key, value in data.items()}
    cells = {}
    for cell, module, _ in tasks:
        sent = Sent(cell, module, folder, mark)
        cells[client.submit(_run, sent, held.get(cell.data), key=f"nsn-{mark}-{cell.key}")] = cell
    for future, outcome in as_completed(cells, loop=client.loop, with_results=True, raise_errors=False):
        if future.status not in ("finished", "error"):
            raise ClusterError(f"{client.scheduler.address}: the scheduler is lost; run the sweep again to continue")
        cell = cells.pop(future)
        yield Failure(cell, repr(outcome[1]), "") if future.status == "error" else outcome


def _check_workers(client, tasks):
    """Refuse other code before anything is run; of a worker that comes later, each of its cells says so."""
    expected = {task.module: task.cell.code for task in tasks}
    for worker, found in client.run(_codes, list(expected), on_error="return").items():
        if found != list(expected.values()):
            raise ClusterError(
                f"{worker}: the code is {found!r}, expected {list(expected.values())!r}: install the same everywhere"
            )


def _codes(modules):
    return [code_version(import_module(module).EXPERIMENT.run.__module__) for module in modules]


def _run(sent, data):
    return run_job(Job(sent.cell, sent.module, shared_store(sent.folder, sent.mark)), data)


def _itself(value):
    return value
