"""`nsn-ref eval`: perplexity of a decoder at several ranks."""

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder that `nsn-ref adapt` wrote, or a Hugging Face folder.")],
    text: Annotated[Path, typer.Option(help="Text file, UTF-8.")],
    ranks: Annotated[str | None, typer.Option(help="Ranks with commas, or all. Default: powers of two, and R.")] = None,
    budgets: Annotated[str | None, typer.Option(help="Shares of the model's FLOPs, with commas, beside them.")] = None,
    window: Annotated[int | None, typer.Option(help="Tokens in a window of the text. Default: the context.")] = None,
    limit: Annotated[int | None, typer.Option(help="Use the first windows only.")] = None,
    engine: Annotated[str, typer.Option(help="numba or reference.")] = "numba",
):
    """Print perplexity and FLOPs of a decoder on a text, at each rank.

    The text is cut into windows; each token but a window's first is predicted from those before it in the window.

    Example: [bold]nsn-ref eval models/nested --text corpus.txt --ranks 8,16,32[/bold]
    """
    from nsn_ref.cli import decoders
    from nsn_ref.cli.console import console, say
    from nsn_ref.surgery.folder import open_model

    opened = open_model(model)
    ranks = decoders.named_ranks(opened.decoder, opened.facts, ranks, budgets)
    read = decoders.read_text(model, opened.decoder.config, text, window, limit)
    rows = decoders.evaluate(opened, read.windows, ranks, decoders.operations(engine))
    terminal = console()
    terminal.print(decoders.table(rows))
    say(
        terminal,
        f"{read.windows.size:,} tokens in windows of {read.windows.shape[1]}; sha256 of the text {read.sha256}",
    )
