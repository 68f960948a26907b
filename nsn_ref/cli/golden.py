"""`nsn-ref golden`: build the golden suite, and check ports with it."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Golden vectors: build the suite, check a port with it.")


@app.command()
def check(
    port: Annotated[
        str | None,
        typer.Argument(
            help="A Python file, package.module[:name], or cmd:PROGRAM. Default: the built-in Numba engine."
        ),
    ] = None,
    suite: Annotated[Path | None, typer.Option(help="Folder of the suite. Default: the one that ships.")] = None,
    op: Annotated[str, typer.Option(help="Only operations that match this glob.")] = "*",
    lane: Annotated[str | None, typer.Option(help="Only this lane: exact or certified.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Only this dtype: float64 or float32.")] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(help="Operations or case ids (a glob) that must be covered. Default: at least one case."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the full report to this file.")] = None,
    stop: Annotated[bool, typer.Option("-x", help="Stop at the first failure.")] = False,
    time_limit: Annotated[
        float | None,
        typer.Option(
            help="Seconds that all calls may take together; a Python port then runs in a process of its own. "
            "Default: 300 for a program, none for a Python port.",
            min=0.1,
        ),
    ] = None,
):
    """Check a port against the golden suite.

    Exit status 0: every case run passed and everything required was covered; 1: a case failed or something required
    was not covered; 2: usage, an unreadable suite, or a port that cannot be loaded.

    Example: [bold]nsn-ref golden check golden/ports/torch_port.py --require 'nested_linear*'[/bold]
    """
    from nsn_ref.golden import check as checker
    from nsn_ref.golden import ports, report
    from nsn_ref.golden import suite as suites
    from nsn_ref.golden.locate import suite_dir

    folder = suite or suite_dir()
    cases = checker.select(suites.load(folder), op=op, lane=lane, dtype=dtype)
    target = ports.load(port or OWN_ENGINE, time_limit=time_limit)
    required = require or (() if port else ("*",))
    console = _console()
    with _progress(console, "checking", len(cases)) as progress:
        result = checker.check(target, cases, require=required, stop_at_first=stop, progress=progress)
    report.show(result, console)
    if json_file is not None:
        _write_json(json_file, report.as_json(result, folder))
        console.print(f"wrote {json_file}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(result.exit_status)


OWN_ENGINE = "nsn_ref.golden.own_ports:engine"


@app.command()
def build(
    out: Annotated[Path | None, typer.Option(help="Folder to write to. Default: the suite that ships.")] = None,
    compare: Annotated[
        bool, typer.Option("--check", help="Write nothing: compare byte for byte; exit status 1 if they differ.")
    ] = False,
    new_inputs: Annotated[
        bool, typer.Option("--inputs", help="Draw the inputs of new cases, which have none yet.")
    ] = False,
):
    """Compute the truth, the bounds and the manifest from the committed inputs and the table of cases.

    Example: [bold]nsn-ref golden build --check[/bold]
    """
    from nsn_ref.golden import build as builder
    from nsn_ref.golden.cases import CASES
    from nsn_ref.golden.locate import suite_dir

    committed = suite_dir()
    folder = out or committed
    console = _console()
    with _progress(console, "building", len(CASES)) as progress:
        contents = builder.build(committed, progress=progress, new_inputs=new_inputs)
    if compare:
        wrong = builder.differences(contents, folder)
        for name in wrong:
            console.print(f"differs: {folder / name}", markup=False, highlight=False, soft_wrap=True)
        console.print(f"{len(contents) - len(wrong)} of {len(contents)} files are as built", highlight=False)
        raise typer.Exit(1 if wrong else 0)
    builder.write(contents, folder)
    console.print(f"wrote {len(contents)} files, {len(CASES)} cases, to {folder}", highlight=False, soft_wrap=True)


def _console():
    from rich.console import Console

    return Console()


def _progress(console, what, total):
    """A context that yields a wrapper of iterables; it draws a bar on a terminal and nothing elsewhere."""
    import contextlib

    from rich.progress import Progress

    @contextlib.contextmanager
    def bar():
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            yield lambda items: progress.track(items, total=total, description=what)

    return bar()


def _write_json(path, content):
    import json

    from nsn_ref.files import write_atomically

    write_atomically(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
