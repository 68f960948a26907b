"""`nsn-ref export`: one rank of a nested decoder as a plain Hugging Face folder."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[Path, typer.Argument(help="Folder that `nsn-ref adapt` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder to write; it must not exist.")],
    rank: Annotated[int | None, typer.Option(help="Rank of every nested layer. Default: all components.")] = None,
    budget: Annotated[float | None, typer.Option(help="Instead: share of the model's FLOPs to stay within.")] = None,
    dtype: Annotated[str, typer.Option(help="Of the weights: float64, float32, float16 or bfloat16.")] = "float32",
    shard_mb: Annotated[int | None, typer.Option("--shard-mb", help="Megabytes in a file. Default: one file.")] = None,
):
    """Multiply the factors out and write a folder that transformers loads.

    Example: [bold]nsn-ref export models/nested --rank 64 --out models/rank-64[/bold]
    """
    from nsn_ref.errors import OptionError
    from nsn_ref.hf import write_model
    from nsn_ref.surgery.chain import rank_within
    from nsn_ref.surgery.folder import open_model

    if rank is not None and budget is not None:
        raise OptionError(f"export: --rank is {rank} and --budget is {budget}, expected one of them")
    opened = open_model(model)
    if budget is not None:
        rank = rank_within(opened.decoder.config, budget, opened.facts.get("chain", ()))
    shard_bytes = None if shard_mb is None else shard_mb * 10**6
    write_model(out, opened.decoder, opened.params, rank, source=model, dtype=dtype, shard_bytes=shard_bytes)
    typer.echo(f"wrote {out}")
