"""`nsn-ref experiment`: the experiments whose results the documentation shows."""

from pathlib import Path
from typing import Annotated

import typer

from nsn_ref.experiments.registry import EXPERIMENTS

app = typer.Typer(no_args_is_help=True, help="Run an experiment and write its page.")

RECORDS = Path("runs/records")
RESULTS = Path("runs/results")


@app.callback(invoke_without_command=True)
def group(
    list_all: Annotated[bool, typer.Option("--list", help="Say what each experiment is, and exit.")] = False,
):
    """Run an experiment of the documentation again."""
    if not list_all:
        return
    from rich.table import Table

    from nsn_ref.cli.console import console
    from nsn_ref.experiments.registry import experiment

    table = Table("name", "source", "what")
    table.add_row("digits", "Fig. 2 and 4", "one nested network against specialists, dense networks and truncation")
    for name in EXPERIMENTS:
        chosen = experiment(name)
        table.add_row(name, chosen.source, chosen.summary)
    console().print(table)
    raise typer.Exit()


@app.command()
def digits(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("runs/experiment-digits"),
    quick: Annotated[bool, typer.Option("--quick", help="Two splits, three ranks, ten epochs: a few seconds.")] = False,
    repeats: Annotated[int, typer.Option(help="Repetitions of the 5-fold cross-validation.")] = 3,
    seed: Annotated[int, typer.Option(help="Fixes the folds and every training.")] = 0,
):
    """Compare one nested network with its rivals on digits, by repeated cross-validation (about 15 minutes).

    Writes digits.md, digits.json and digits.png. The page in docs/results was made with OMP_NUM_THREADS=1.

    Example: [bold]nsn-ref experiment digits --quick[/bold]
    """
    import dataclasses

    from rich.console import Console
    from rich.progress import track

    from nsn_ref.experiments import digits as experiment
    from nsn_ref.experiments import digits_report as report
    from nsn_ref.files import made_folder

    made_folder(out)  # before minutes of training rather than after
    console = Console(stderr=True)
    plan = dataclasses.replace(experiment.FULL, repeats=repeats, seed=seed)
    if quick:
        plan = dataclasses.replace(experiment.QUICK, seed=seed)
    size = "--quick" if quick else f"--repeats {repeats}"
    command = f"nsn-ref experiment digits {size} --seed {seed} --out {out}"
    record = experiment.run(
        plan, command=command, progress=lambda splits: track(splits, description="splits", console=console)
    )
    for path in report.write(out, record):
        typer.echo(f"wrote {path}")


Smoke = Annotated[bool, typer.Option("--smoke", help="Seconds: to see that all works.")]
Quick = Annotated[bool, typer.Option("--quick", help="Minutes: the default.")]
Full = Annotated[bool, typer.Option("--full", help="As long as it takes.")]
Workers = Annotated[int | None, typer.Option(help="Cells at once. Default: one for each core.")]
Records = Annotated[Path, typer.Option(help="Folder of finished cells, which are not run again.")]
Results = Annotated[Path, typer.Option(help="Folder of pages.")]


@app.command(name="all")
def every(
    smoke: Smoke = False,
    quick: Quick = False,
    full: Full = False,
    workers: Workers = None,
    records: Records = RECORDS,
    out: Results = RESULTS,
):
    """Run the cells of every experiment below that have no record yet, and write all pages.

    Example: [bold]nsn-ref experiment all --smoke[/bold]
    """
    _run(list(EXPERIMENTS), _form("all", smoke, quick, full), None, None, workers, records, out)


def command(name):
    """The command of an experiment of the registry."""

    def run(
        smoke: Smoke = False,
        quick: Quick = False,
        full: Full = False,
        seeds: Annotated[int | None, typer.Option(help="How often each cell is run.")] = None,
        data: Annotated[
            str | None,
            typer.Option(
                "--data",
                "--text",
                help="digits, iris, wine, breast_cancer, FILE.npz (x, y) or FILE.csv (label last); of decoders a text.",
            ),
        ] = None,
        workers: Workers = None,
        records: Records = RECORDS,
        out: Results = RESULTS,
    ):
        _run([name], _form(name, smoke, quick, full), seeds, data, workers, records, out)

    run.__doc__ = f"""Run the cells of {name} that have no record yet, and write its page.

    What it is: [bold]nsn-ref experiment --list[/bold]

    Example: [bold]nsn-ref experiment {name} --smoke[/bold]
    """
    return run


for name in EXPERIMENTS:
    app.command(name=name)(command(name))


def _form(name, smoke, quick, full):
    from nsn_ref.errors import OptionError

    forms = [form for form, asked in {"smoke": smoke, "quick": quick, "full": full}.items() if asked]
    if len(forms) > 1:
        raise OptionError(f"{name}: got --{' and --'.join(forms)}, expected one of them")
    return forms[0] if forms else "quick"


def _run(names, form, seeds, data, workers, records, out):
    """Run the cells of several experiments side by side, then write the page of each."""
    from itertools import islice

    from nsn_ref.cli.cells import cells_left
    from nsn_ref.experiments.plan import plan
    from nsn_ref.experiments.processes import executor
    from nsn_ref.experiments.records import Store
    from nsn_ref.experiments.report import write_results
    from nsn_ref.experiments.runner import complete
    from nsn_ref.files import made_folder

    tasks = {name: plan(name, form, seeds=seeds, data=data) for name in names}
    execute, store = executor(workers), Store(records)
    made_folder(out)  # before minutes of training rather than after
    with cells_left(names[0] if len(names) == 1 else "all") as progress:
        finished = iter(complete([task for each in tasks.values() for task in each], store, execute, progress=progress))
    for name, own in tasks.items():
        data_name = own[0].data and own[0].data.name
        facts = {"experiment": name, "command": _typed(name, form, seeds, data), "data": data_name}
        for path in write_results(out, facts, list(islice(finished, len(own)))):
            typer.echo(f"wrote {path}")


def _typed(name, form, seeds, data):
    """The command that runs the same again."""
    import shlex

    parts = ["nsn-ref", "experiment", name] + [f"--{form}"] * (form != "quick")
    for option, value in (("--seeds", seeds), ("--data", data)):
        parts += [] if value is None else [option, str(value)]
    return shlex.join(parts)
