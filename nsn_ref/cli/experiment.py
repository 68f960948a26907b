"""`nsn-ref experiment`: the experiments whose results the documentation shows."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Run an experiment of the documentation again.")


@app.callback()
def group():
    """Keep `digits` a command of its own, although it is the only one."""


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
