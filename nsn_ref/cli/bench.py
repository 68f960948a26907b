"""`nsn-ref bench`: side-by-side benchmarks against other engines."""

from pathlib import Path
from typing import Annotated

import typer

WIDTH = 160  # of what is written to a file or a pipe


def bench(
    name: Annotated[
        str,
        typer.Argument(
            help="Of step, float64, conv, ranks, width, batch, count, allranks, operations, digits, memory, startup, "
            "subnormals; or all."
        ),
    ] = "step",
    against: Annotated[
        str,
        typer.Option(
            help="Engines, by commas: torch, torch-compile, jax, reference (or numpy), operations, ours-mkl, sklearn."
        ),
    ] = "torch,torch-compile,jax,reference,sklearn",
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    threads: Annotated[int, typer.Option(help="Of every engine.")] = 2,
    repeats: Annotated[int | None, typer.Option(help="Turns of each engine. Default: 9.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, short turns: to see that all works.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every time to this file.")] = None,
    figure_file: Annotated[Path | None, typer.Option("--figure", help="Write a figure (PNG) to this file.")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="Write a page to this file.")] = None,
    add: Annotated[
        bool, typer.Option("--add", help="Keep what the file of --json holds of other benchmarks; on the same machine.")
    ] = False,
    info: Annotated[bool, typer.Option("--info", help="Show BLAS, versions and processor, and exit.")] = False,
):
    """Time training steps and more against other engines on this machine.

    Each engine works in a process of its own, all with as many threads. Engines whose losses differ are refused before
    anything is timed; then they take turns. An engine that is not installed is named and left out.

    Example: [bold]nsn-ref bench step --against torch,jax[/bold]
    """
    from rich.console import Console

    from nsn_ref.bench import machine

    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    if info:
        _show_info(console, machine.info())
        return
    from nsn_ref.bench import names, record
    from nsn_ref.bench.plan import Plan
    from nsn_ref.cli.parsing import check_folders

    engines = tuple(part.strip() for part in against.split(",") if part.strip())
    files = {"--json": json_file, "--figure": figure_file, "--markdown": markdown_file}
    with Console(stderr=True).status("bench") as status:
        plan = Plan(engines, dtype, threads, repeats, quick, status.update)
        chosen = names.chosen(name)
        check_folders(files)
        _check_figure(figure_file, chosen)
        for absent in plan.absent:
            typer.echo(f"{absent}: not installed, left out")
        found = record.begin(json_file if add else None)
        for each in chosen:
            found["benchmarks"][each] = names.runner(each)(plan)
            found["commands"][each] = _command(name, plan, files, add)
            for table in names.tables(each, found["benchmarks"][each]):
                _show(console, table)
    found["benchmarks"] = {each: found["benchmarks"][each] for each in names.NAMES if each in found["benchmarks"]}
    for path in _write(found, *files.values()):
        typer.echo(f"wrote {path}")


def _check_figure(figure_file, chosen):
    from nsn_ref.bench.figure import PANELS
    from nsn_ref.errors import OptionError

    if figure_file is not None and not set(PANELS) & set(chosen):
        raise OptionError(f"bench: --figure is given for {', '.join(chosen)}, expected one of {', '.join(PANELS)}")


def _show_info(console, facts):
    from rich.table import Table

    from nsn_ref.bench.machine import lines

    table = Table(show_header=False)
    for what, which in lines(facts):
        table.add_row(what, which)
    console.print(table)


def _show(console, table):
    from rich.table import Table

    shown = Table(title=table.title, title_justify="left")
    for i, column in enumerate(table.columns):
        shown.add_column(column, justify="right" if i else "left")
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
    for note in table.notes:
        console.print(note, markup=False, highlight=False)


def _command(name, plan, files, add):
    """What runs the same again."""
    parts = [f"nsn-ref bench {name} --against {','.join(plan.against)} --dtype {plan.dtype} --threads {plan.threads}"]
    parts += [f"--repeats {plan.rounds}"] + ["--quick"] * plan.quick
    parts += [f"{option} {path}" for option, path in files.items() if path is not None]
    parts += ["--add"] * add
    return " ".join(parts)


def _write(record, json_file, figure_file, markdown_file):
    """Write what was asked for; yields the paths."""
    import json

    from nsn_ref.bench.figure import figure
    from nsn_ref.bench.page import page
    from nsn_ref.files import write_atomically

    if json_file is not None:
        write_atomically(json_file, json.dumps(record, indent=1) + "\n")
        yield json_file
    if figure_file is not None:
        write_atomically(figure_file, figure(record))
        yield figure_file
    if markdown_file is not None:
        beside = {"json": json_file and json_file.name, "figure": figure_file and figure_file.name}
        write_atomically(markdown_file, page(record, **beside))
        yield markdown_file
