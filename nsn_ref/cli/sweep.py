"""`nsn-ref sweep`: a grid of cells, on this machine or on a Dask cluster."""

from pathlib import Path
from typing import Annotated

import typer


def sweep(
    spec: Annotated[Path, typer.Argument(help="TOML; see docs/sweeps.md.")],
    scheduler: Annotated[str | None, typer.Option(help="Of a Dask cluster, as tcp://host:8786.")] = None,
    workers: Annotated[int | None, typer.Option(help="Cells at once, here. Default: one for each core.")] = None,
    records: Annotated[Path, typer.Option(help="Folder of finished cells, which are not run again.")] = Path(
        "runs/records"
    ),
    out: Annotated[
        Path | None, typer.Option(help="Write every cell and its result to this file, as JSON lines.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be run, and exit.")] = False,
):
    """Run the cells of a sweep that have no record yet.

    It is checked whole before any cell runs. Run it again after whatever stopped it: what has finished is kept.

    Example: [bold]nsn-ref sweep sweep.toml --dry-run[/bold]
    """
    import contextlib
    from functools import partial

    from nsn_ref.cli.cells import cells_left
    from nsn_ref.cli.parsing import check_folders
    from nsn_ref.errors import OptionError
    from nsn_ref.experiments import cluster, processes
    from nsn_ref.experiments.records import Store
    from nsn_ref.experiments.runner import complete
    from nsn_ref.experiments.sweep import json_lines, read_sweep
    from nsn_ref.files import write_atomically

    if scheduler is not None and workers is not None:
        raise OptionError(
            f"sweep: got --workers {workers} with --scheduler, expected one of them: a cluster has its own"
        )
    check_folders({"--out": out})
    tasks, store = read_sweep(spec), Store(records)
    if dry_run:
        _show(tasks, store)
        return
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            execute = processes.executor(workers)
        else:
            client = stack.enter_context(cluster.connected(scheduler))
            execute = partial(cluster.execute, client=client)
            typer.echo(f"{scheduler}: {len(client.scheduler_info()['workers'])} workers now")
        progress = stack.enter_context(cells_left("sweep"))
        finished = complete(tasks, store, execute, progress=progress)
    typer.echo(f"{len(finished)} cells are recorded in {records}")
    if out is not None:
        write_atomically(out, json_lines(tasks, finished))
        typer.echo(f"wrote {out}")


def _show(tasks, store):
    from collections import Counter

    from rich.table import Table

    from nsn_ref.cli.console import console, say

    where = [(task.cell.experiment, task.data.name if task.data else "") for task in tasks]
    recorded = Counter(at for at, task in zip(where, tasks, strict=True) if store.read(task.cell) is not None)
    table = Table("experiment", "data", "cells", "recorded", "to run")
    for (name, data), count in Counter(where).items():
        done = recorded[name, data]
        table.add_row(name, data, str(count), str(done), str(count - done))
    console().print(table)
    say(console(), f"{len(tasks)} cells, {len(tasks) - recorded.total()} to run")
