"""`nsn-ref golden mutants`: planted bugs against the suite."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from nsn_ref.cli import console as terminal
from nsn_ref.errors import OptionError

SETS = {"hand": ("hand",), "mechanical": ("mechanical",), "all": ("hand", "mechanical")}


def mutants(
    which: Annotated[str, typer.Option("--set", help="hand, mechanical (needs PyTorch) or all.")] = "all",
    dtype: Annotated[str | None, typer.Option(help="Only this format.")] = None,
    sample: Annotated[int | None, typer.Option(help="Draw this many mutants of each set.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.", min=0)] = 0,
    full: Annotated[bool, typer.Option("--full", help="Run every case, not only up to the first kill.")] = False,
    table: Annotated[
        bool, typer.Option("--table", help="Kill rate and false-alarm rate, beside those of fixed tolerances.")
    ] = False,
    docs: Annotated[
        Path | None, typer.Option(help="Write the page of the kill matrix here, and its numbers beside it as JSON.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every outcome to this file.")] = None,
    suite: Annotated[Path | None, typer.Option(help="Folder of the suite. Default: the one that ships.")] = None,
    jobs: Annotated[int, typer.Option(help="Processes. Default: one for each processor.", min=1)] = os.cpu_count() or 1,
    time_limit: Annotated[float, typer.Option(help="Seconds for one mutant in one format.", min=0.1)] = 60.0,
):
    """Check ports with planted bugs against the golden suite: how many of them it catches.

    Each mutant stops at its first kill. Exit status 0, whatever the rate: the rate is the result.

    Example: [bold]nsn-ref golden mutants --set hand --dtype float32 --sample 60[/bold]
    """
    from nsn_ref.cli.parsing import check_folders
    from nsn_ref.golden import suite as suites
    from nsn_ref.golden.locate import suite_dir
    from nsn_ref.golden.mutants import equivalent, false_alarms, matrix, run

    if which not in SETS:
        raise OptionError(f"golden mutants: --set is {which!r}, expected hand, mechanical or all")
    check_folders({"--docs": docs, "--json": json_file})
    start, folder, console = time.monotonic(), suite or suite_dir(), terminal.console()
    cases = suites.load(folder)
    formats = list(dict.fromkeys(case.dtype for case in cases))
    if dtype is not None and dtype not in formats:
        raise OptionError(f"golden mutants: --dtype is {dtype!r}, expected one of {', '.join(formats)}")
    dtypes = [dtype] if dtype else formats
    compared, alarms, usable = bool(table or docs), (), None
    if compared:
        chosen = [case for case in cases if case.dtype in dtypes]
        count = len(dtypes) * len(false_alarms.right_ports())
        with terminal.progress(console, "right ports", count) as progress:
            alarms = false_alarms.count(chosen, progress)
        usable = {(policy, a.dtype): ids for a in alarms for policy, ids in a.usable.items()}
    outcomes = {}
    for name in _runnable(SETS[which], which, console):
        todo = run.tasks(name, dtypes, sample=sample, seed=seed, full=full, compared=compared)
        made = run.survey(todo, folder, jobs=jobs, time_limit=time_limit, usable=usable)
        with _bar(console, f"{name} mutants", len(todo)) as progress:
            outcomes[name] = list(progress(made))
    verified = equivalent.verified(outcomes) if docs else ()
    took = time.monotonic() - start, jobs
    summary = matrix.summary(
        outcomes, folder, alarms=alarms, date=_today(), verified=verified, sample=sample, took=took
    )
    _show(console, summary)
    if docs is not None:
        _write(console, docs, matrix.page(summary))
        _write(console, docs.with_suffix(".json"), _as_json(summary))
    if json_file is not None:
        listed = {name: [o._asdict() for o in made] for name, made in outcomes.items()}
        _write(console, json_file, _as_json({"summary": summary, "outcomes": listed}))


def _runnable(names, which, console):
    """The sets that can be run here: without PyTorch `all` is the hand-made one."""
    import importlib.util

    if importlib.util.find_spec("torch") is not None or "mechanical" not in names:
        return names
    if which == "mechanical":
        raise OptionError("golden mutants: --set mechanical needs PyTorch, which is not installed")
    terminal.say(console, "PyTorch is not installed: the mechanical mutants are left out")
    return ("hand",)


def _bar(console, what, total):
    """As `terminal.progress`, with the time left."""
    import contextlib

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn(what), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn(), TextColumn("left")

    @contextlib.contextmanager
    def bar():
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            yield lambda items: progress.track(items, total=total)

    return bar()


def _show(console, summary):
    from rich import box
    from rich.table import Table

    from nsn_ref.golden.mutants import matrix

    columns = ("set", "format", "mutants", "killed", "dead", "survived", "equivalent", "no case", "kill rate")
    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="left" if column in ("set", "format") else "right")
    for name, about in summary["sets"].items():
        for dtype, f in about["formats"].items():
            counts = (str(f[key]) for key in ("mutants", "killed", "dead", "survived", "equivalent", "no_case"))
            table.add_row(name, dtype, *counts, f"{100 * f['rate_of_mistakes']:.1f} %")
    console.print(table)
    for name, about in summary["sets"].items():
        for s in about["survivors"]:
            if not s["equivalent"]:
                terminal.say(console, f"survived ({', '.join(s['formats'])}): {name} {s['mutant']}: {s['what']}")
    if summary["false_alarms"] and "hand" in summary["sets"]:
        terminal.say(console, "false alarms / kills")
        typer.echo(matrix.two_numbers(summary))


def _today():
    import datetime

    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def _as_json(content):
    import json

    return json.dumps(content, indent=1) + "\n"


def _write(console, path, text):
    from nsn_ref.files import write_atomically

    write_atomically(path, text)
    terminal.say(console, f"wrote {path}")
