"""`nsn-ref train decoder`: fine-tune a nested decoder at many ranks at once."""

from pathlib import Path
from typing import Annotated

import typer


def decoder(
    model: Annotated[Path, typer.Argument(help="Folder that `nsn-ref adapt` or this command wrote.")],
    text: Annotated[Path, typer.Option(help="Text file to train on, UTF-8.")],
    out: Annotated[Path, typer.Option(help="Folder to write; it must not exist.")],
    variants: Annotated[
        str, typer.Option(help="Ranks below R to train at, separated by commas, or 'all'; 'powers': powers of two.")
    ] = "powers",
    steps: Annotated[int, typer.Option(help="Steps of training.")] = 200,
    batch_size: Annotated[int, typer.Option(help="Windows in a step.")] = 16,
    window: Annotated[int | None, typer.Option(help="Tokens in a window. Default: the context.")] = None,
    lr: Annotated[float, typer.Option(help="Highest learning rate.")] = 0.001,
    lr_s: Annotated[float, typer.Option("--lr-s", help="That of the log-variances.")] = 0.01,
    curriculum: Annotated[str, typer.Option(help="How variants are drawn, as in `nsn-ref train digits`.")] = "uniform",
    objective: Annotated[
        str, typer.Option(help="How the losses are weighed, as in `nsn-ref train digits`.")
    ] = "uncertainty",
    seed: Annotated[int, typer.Option(help="Fixes the batches and the ranks.")] = 0,
):
    """Fine-tune at the largest rank and a variant in each step (arXiv:2509.17874v1, Eq. 3).

    Factors are balanced first, which changes no output but by rounding. The folder that is written keeps what nsn.json
    says of the surgery, and says how it was fine-tuned.

    Example: [bold]nsn-ref train decoder runs/nested --text corpus.txt --out runs/tuned --steps 100[/bold]
    """
    from nsn_ref.cli import parsing
    from nsn_ref.cli.console import console, say
    from nsn_ref.cli.decoders import read_text
    from nsn_ref.experiments.decoder.recipe import NESTED, balanced, fit
    from nsn_ref.files import check_new
    from nsn_ref.surgery.folder import read_nested, write_nested

    nested, params, facts = read_nested(model)
    rows = read_text(model, nested.config, text, window)
    chosen = {"lr": lr, "lr_s": lr_s, "curriculum": curriculum, "objective": objective}
    chosen |= {"variants": parsing.variants("train decoder: --variants", variants, nested.R)}
    check_new(out)  # before minutes of training rather than after
    params = balanced(nested, params)
    run = fit(nested, rows.windows, steps, batch_size, seed, params=params, progress=True, **NESTED | chosen)
    training = {"text_sha256": rows.sha256, "window": rows.windows.shape[1], "config": run.config.to_json()}
    kept = {name: facts[name] for name in ("provenance", "layers", "chain") if name in facts}
    write_nested(
        out, nested, run.params, kept | {"fine_tuning": [*facts.get("fine_tuning", []), training]}, source=model
    )
    say(console(), f"wrote {out}\nperplexity at every rank: nsn-ref eval {out} --text FILE")
