"""`nsn-ref train`: train a nested network on real data."""

from pathlib import Path
from typing import Annotated

import typer

from nsn_ref.cli import train_decoder, train_text

app = typer.Typer(no_args_is_help=True, help="Train a network.")
app.command()(train_text.text)
app.command()(train_decoder.decoder)


@app.command()
def digits(
    R: Annotated[int, typer.Option("--R", help="Components stored by each nested layer: the largest rank.")] = 32,
    widths: Annotated[str, typer.Option(help="Hidden widths, separated by commas.")] = "128,128",
    variants: Annotated[
        str, typer.Option(help="Ranks below R to train at, separated by commas, or 'all'; 'powers': powers of two.")
    ] = "powers",
    epochs: Annotated[int, typer.Option(help="Passes over the training scans.")] = 120,
    batch_size: Annotated[int, typer.Option(help="Scans in a step.")] = 64,
    lr: Annotated[float, typer.Option(help="Highest learning rate.")] = 0.02,
    lr_s: Annotated[float, typer.Option("--lr-s", help="That of the log-variances.")] = 0.001,
    weight_decay: Annotated[float, typer.Option(help="Of the factors and the head.")] = 0.3,
    curriculum: Annotated[
        str,
        typer.Option(
            help="How variants are drawn: uniform, log_uniform, easy_to_hard, hard_to_easy, delayed, all, anchor."
        ),
    ] = "uniform",
    objective: Annotated[
        str,
        typer.Option(
            help="How the losses are weighed: uncertainty, classification, bounded, sum, analytic, softmax, gradnorm."
        ),
    ] = "uncertainty",
    engine: Annotated[str, typer.Option(help="numba or reference.")] = "numba",
    seed: Annotated[
        int, typer.Option(help="Fixes the split, the parameters at the start, the batches, the ranks.")
    ] = 0,
    out: Annotated[Path, typer.Option(help="Folder of the run; it is made.")] = Path("runs/digits"),
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder, if it holds one.")] = False,
):
    """Train on scikit-learn's digits: an anchor rank and a variant at each step (arXiv:2509.17874v1, Eq. 3).

    Four fifths of the 1,797 scans are trained on; the others are held out, and kept in the folder for
    [bold]nsn-ref frontier[/bold].

    Example: [bold]nsn-ref train digits --R 16 --widths 64,64 --out runs/small[/bold]
    """
    import dataclasses

    import numpy as np
    from rich.console import Console

    from nsn_ref.cli import parsing
    from nsn_ref.experiments import digits_data
    from nsn_ref.experiments.digits import SETTINGS
    from nsn_ref.nets.mlp import MLP
    from nsn_ref.training.config import TrainConfig
    from nsn_ref.training.loop import train
    from nsn_ref.training.samplers import steps_per_epoch

    hidden = parsing.integers("train digits: --widths", widths)
    net = MLP((digits_data.WIDTH, *hidden, digits_data.CLASSES), R)
    config = TrainConfig(
        **SETTINGS | {"epochs": epochs, "batch_size": batch_size, "lr": lr, "weight_decay": weight_decay},
        lr_s=lr_s, variants=parsing.variants("train digits: --variants", variants, R), curriculum=curriculum,
        objective=objective, engine=engine, seed=seed,
    )  # fmt: skip
    x, labels = digits_data.load_scans()
    fold = digits_data.stratified_folds(labels, 5, np.random.default_rng(seed))[0]
    scans = digits_data.split(x, labels, fold)
    steps = epochs * steps_per_epoch(len(scans.x_train), batch_size)
    config = dataclasses.replace(config, warmup_steps=min(config.warmup_steps, steps // 10))  # for short runs
    data, held_out = (scans.x_train, scans.y_train), (scans.x_test, scans.y_test)
    console = Console()
    try:
        run = train(net, data, config, out=out, resume=resume, held_out=held_out)
    except KeyboardInterrupt:
        console.print(f"stopped; the same command with --resume continues {out}", markup=False, soft_wrap=True)
        raise typer.Exit(130) from None
    console.print(_table(run, scans))
    console.print(
        f"wrote {out}: checkpoint, metrics.jsonl, {len(scans.x_test)} held-out scans\n"
        f"every rank: nsn-ref frontier {out}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip


def _table(run, scans):
    from rich.table import Table

    from nsn_ref.analysis.frontier import frontier, trained_ranks

    table = Table(title="held-out scans, trained ranks")
    for column in ("rank", "accuracy", "loss", "share of dense FLOPs"):
        table.add_column(column, justify="right")
    rows = frontier(run.net, run.params, scans.x_test, scans.y_test, trained=trained_ranks(run.metrics))
    for row in (row for row in rows if row.trained):
        table.add_row(str(row.rank), f"{100 * row.accuracy:.1f} %", f"{row.loss:.3f}", f"{100 * row.dense_share:.0f} %")
    return table
