"""`nsn-ref frontier`: what every rank of a run reaches and costs."""

from pathlib import Path
from typing import Annotated

import typer


def frontier(
    run: Annotated[Path, typer.Argument(help="Folder of a run, as `nsn-ref train` wrote it.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write to. Default: that of the run.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Evaluate only if the run was made with this seed (evaluation draws nothing).")
    ] = None,
):
    """Evaluate every rank 1..R, trained or not, on the rows that the run was not trained on.

    Prints a table and writes frontier.csv, frontier.json, frontier.png (accuracy against FLOPs), log_variances.png and
    energies.png. FLOPs are for one example, two for each multiply-add.

    Example: [bold]nsn-ref frontier runs/digits[/bold]
    """
    from rich.console import Console

    from nsn_ref.analysis.frontier_files import evaluate, write
    from nsn_ref.errors import OptionError
    from nsn_ref.training.run import load_run

    console = Console()
    trained = load_run(run)
    if seed is not None and trained.config.seed != seed:
        raise OptionError(f"--seed: got {seed}, expected {trained.config.seed}, that of {run}")
    report = evaluate(trained, run)
    paths = write(report, out or run, title=_title(trained))
    console.print(_table(report.rows))
    for path in paths:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)


def _title(run):
    done = f"{len(run.metrics)} steps" if len(run.metrics) == run.steps else f"{len(run.metrics)} of {run.steps} steps"
    return f"{type(run.net).__name__}, R = {run.net.R}, {done}, seed {run.config.seed}"


def _table(rows):
    from rich.table import Table

    table = Table()
    for column in ("rank", "trained", "accuracy", "loss", "FLOPs", "share of dense", "s"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            str(row.rank), "yes" if row.trained else "", f"{100 * row.accuracy:.1f} %", f"{row.loss:.3f}",
            f"{row.flops:,}", f"{100 * row.dense_share:.1f} %", f"{row.s:+.2f}" if row.trained else "",
            style="bold" if row.trained else None,
        )  # fmt: skip
    return table
