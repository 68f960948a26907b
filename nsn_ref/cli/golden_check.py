"""`nsn-ref golden check` and `nsn-ref golden bisect`: judge a port, and find where it goes wrong."""

from pathlib import Path
from typing import Annotated

import typer

from nsn_ref.cli import console as terminal

OWN_ENGINE = "nsn_ref.golden.own_ports:engine"

Suite = Annotated[Path | None, typer.Option(help="Folder of the suite. Default: the one that ships.")]
Contract = Annotated[
    Path | None,
    typer.Option(help="JSON file with the contract of a program, by format; a Python port has CONTRACT."),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        help="Seconds that all calls may take together; a Python port then runs in a process of its own. "
        "Default: 300 for a program, none for a Python port.",
        min=0.1,
    ),
]


def check(
    port: Annotated[
        str | None,
        typer.Argument(
            help="A Python file, package.module[:name], or cmd:PROGRAM. Default: the built-in Numba engine."
        ),
    ] = None,
    suite: Suite = None,
    op: Annotated[str, typer.Option(help="Only operations that match this glob.")] = "*",
    lane: Annotated[
        str | None, typer.Option(help="Only this lane: exact, certified, sequence, staged (nets) or property.")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(help="Only this format: float64, float32, tf32, bfloat16, float16 or bfloat16_master."),
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(help="Operations or case ids (a glob) that must be covered. Default: at least one case."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the full report to this file.")] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write the report as one self-contained HTML file.")
    ] = None,
    stop: Annotated[bool, typer.Option("-x", help="Stop at the first failure.")] = False,
    contract: Contract = None,
    time_limit: TimeLimit = None,
):
    """Check a port against the golden suite.

    Exit status 0: every case run passed and everything required was covered; 1: a case failed or something required
    was not covered; 2: usage, an unreadable suite, or a port that cannot be loaded.

    Example: [bold]nsn-ref golden check golden/ports/torch_port.py --require 'nested_linear*' --html report.html[/bold]
    """
    from nsn_ref.cli.parsing import check_folders
    from nsn_ref.golden import check as checker
    from nsn_ref.golden import report
    from nsn_ref.golden import suite as suites
    from nsn_ref.golden.locate import suite_dir

    check_folders({"--json": json_file, "--html": html_file})
    folder = suite or suite_dir()
    cases = checker.select(suites.load(folder), op=op, lane=None if lane == "property" else lane, dtype=dtype)
    target = _port(port or OWN_ENGINE, contract, time_limit)
    required = require or (() if port else ("*",))
    console = terminal.console()
    with terminal.progress(console, "checking", len(cases)) as progress:
        result = checker.check(
            target,
            cases,
            require=required,
            stop_at_first=stop,
            staged=True if lane == "staged" else None,
            stored=lane != "property",
            related=lane in (None, "property"),
            progress=progress,
        )
    report.show(result, console)
    for path, write in ((json_file, _json), (html_file, _html)):
        if path is not None:
            _write(path, write(result, folder), console)
    raise typer.Exit(result.exit_status)


def bisect(
    port: Annotated[str, typer.Argument(help="A Python file, package.module[:name], or cmd:PROGRAM.")],
    case: Annotated[str, typer.Argument(help="The id of a case, such as mlp_step/f32/relu-001.")],
    suite: Suite = None,
    contract: Contract = None,
    time_limit: TimeLimit = None,
):
    """Name the first stage of a case at which a port diverges.

    Each stage is recomputed on the port's own tensors, as far as it returned them; and each operation is put to the
    port by itself, on true values. Exit status 0: nothing diverges; 1: something does; 2: no such case or port.

    Example: [bold]nsn-ref golden bisect my_port.py mlp_step/f32/relu-001[/bold]
    """
    from nsn_ref.golden import bisect as bisector
    from nsn_ref.golden import report
    from nsn_ref.golden import suite as suites
    from nsn_ref.golden.locate import suite_dir

    cases = suites.load(suite or suite_dir())
    chosen = bisector.case_named(cases, case)
    found = bisector.bisect(_port(port, contract, time_limit), chosen, cases)
    console = terminal.console()
    report.show_bisection(found, console)
    raise typer.Exit(1 if found.first else 0)


def _port(spec, contract, time_limit):
    from nsn_ref.golden import ports

    return ports.load(spec, time_limit=time_limit, contract=_contract(contract))


def _contract(path):
    """The contract in a file, or None."""
    import json

    from nsn_ref.errors import FileError

    if path is None:
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise FileError(f"{path}: not JSON: {error}") from None


def _json(result, folder):
    import json

    from nsn_ref.golden import report

    return json.dumps(report.as_json(result, folder), indent=1, allow_nan=False) + "\n"


def _html(result, folder):
    from nsn_ref.golden import html

    return html.render(result, folder)


def _write(path, text, console):
    from nsn_ref.files import write_atomically

    write_atomically(path, text)
    terminal.say(console, f"wrote {path}")
