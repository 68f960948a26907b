"""`nsn-ref frontier`: what every rank of a run reaches and costs."""

from pathlib import Path
from typing import Annotated

import typer


def frontier(
    run: Annotated[
        Path, typer.Argument(help="Folder of a run, as `nsn-ref train` wrote it, or of a decoder (`nsn-ref adapt`).")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder to write to. Default: that of the run.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Evaluate only if the run was made with this seed (evaluation draws nothing).")
    ] = None,
    text: Annotated[Path | None, typer.Option(help="Of a decoder: text file to evaluate on, UTF-8.")] = None,
    ranks: Annotated[
        str | None, typer.Option(help="Of a decoder: ranks with commas, or all. Default: powers of two, and R.")
    ] = None,
    budgets: Annotated[str | None, typer.Option(help="Of a decoder: shares of its FLOPs, beside them.")] = None,
    limit: Annotated[int | None, typer.Option(help="Of a decoder: use the first windows of the text only.")] = None,
    engine: Annotated[str, typer.Option(help="Of a decoder: numba or reference.")] = "numba",
):
    """Evaluate every rank 1..R, trained or not, on the rows that the run was not trained on.

    Prints a table and writes frontier.csv, frontier.json, frontier.png (accuracy against FLOPs), log_variances.png and
    energies.png. FLOPs are for one example, two for each multiply-add.

    Of a decoder: perplexity at each rank against the share of the plain decoder's FLOPs; writes frontier.csv,
    frontier.json and frontier.png.

    Example: [bold]nsn-ref frontier runs/digits[/bold]

    Example: [bold]nsn-ref frontier models/nested --text corpus.txt --budgets 0.5,0.7[/bold]
    """
    from nsn_ref.surgery.folder import FILE

    if (run / FILE).is_file():
        return _decoder(run, out or run, text, ranks, budgets, limit, engine)
    return _run(run, out, seed)


def _run(run, out, seed):
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


def _decoder(model, out, text, ranks, budgets, limit, engine):
    from nsn_ref.analysis.decoder_frontier import write
    from nsn_ref.cli import decoders
    from nsn_ref.cli.console import console, say
    from nsn_ref.errors import OptionError
    from nsn_ref.surgery.folder import open_model

    if text is None:
        raise OptionError(f"frontier: --text is missing, expected a text file to evaluate {model} on")
    opened = open_model(model)
    at = decoders.named_ranks(opened.decoder, opened.facts, ranks, budgets)
    read = decoders.read_text(model, opened.decoder.config, text, limit=limit)
    rows = decoders.evaluate(opened, read.windows, at, decoders.operations(engine))
    paths = write(rows, out, title=decoders.folder_title(model), text_sha256=read.sha256)
    terminal = console()
    terminal.print(decoders.table(rows))
    for path in paths:
        say(terminal, f"wrote {path}")


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
