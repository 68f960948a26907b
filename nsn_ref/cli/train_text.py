"""`nsn-ref train text`: a small decoder of bytes from random weights."""

from pathlib import Path
from typing import Annotated

import typer


def text(
    text: Annotated[Path, typer.Option(help="The text; its last tenth is held out.")],
    out: Annotated[Path, typer.Option(help="Folder to write; it must not exist.")],
    hidden: Annotated[int, typer.Option(help="Width.")] = 128,
    intermediate: Annotated[int, typer.Option(help="Width inside an MLP.")] = 384,
    blocks: Annotated[int, typer.Option(help="Blocks.")] = 5,
    heads: Annotated[int, typer.Option(help="Query heads.")] = 4,
    kv_heads: Annotated[int, typer.Option(help="Key and value heads.")] = 2,
    context: Annotated[int, typer.Option(help="Bytes in a window.")] = 128,
    steps: Annotated[int, typer.Option(help="Steps of training.")] = 800,
    batch_size: Annotated[int, typer.Option(help="Windows in a step.")] = 16,
    lr: Annotated[float, typer.Option(help="Highest learning rate.")] = 0.003,
    seed: Annotated[int, typer.Option(help="Fixes the parameters at the start and the batches.")] = 0,
):
    """Train a byte-level decoder of the form of Qwen2 and write it as a Hugging Face folder.

    With its defaults it has a million parameters: for trying adapt, eval, generate and train decoder.

    Example: [bold]nsn-ref train text --text corpus.txt --out runs/plain --steps 100[/bold]
    """
    import math

    from nsn_ref import kernels
    from nsn_ref.analysis.perplexity import losses_at_ranks
    from nsn_ref.cli.console import console, say
    from nsn_ref.experiments.decoder.recipe import PLAIN, byte_decoder, fit
    from nsn_ref.experiments.text import load_text, windows
    from nsn_ref.files import check_new
    from nsn_ref.hf import write_model

    decoder = byte_decoder(hidden, intermediate, blocks, heads, kv_heads, context)
    content = load_text(text)
    rows, held_out = (windows(part, context, str(text)) for part in (content.train, content.held_out))
    check_new(out)  # before minutes of training rather than after
    run = fit(decoder, rows, steps, batch_size, seed, progress=True, **PLAIN | {"lr": lr})
    write_model(out, decoder, run.params)
    perplexity = math.exp(losses_at_ranks(decoder, run.params, held_out, [1], ops=kernels)[0])
    say(
        console(),
        f"perplexity per byte on the last tenth: {perplexity:.3f}\nwrote {out}: nsn-ref adapt {out} --out DIR",
    )
