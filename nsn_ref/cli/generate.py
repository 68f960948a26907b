"""`nsn-ref generate`: continue a text at a rank."""

from pathlib import Path
from typing import Annotated

import typer


def generate(
    model: Annotated[Path, typer.Argument(help="Folder that `nsn-ref adapt` wrote, or a Hugging Face folder.")],
    prompt: Annotated[str, typer.Option(help="Text to continue.")],
    rank: Annotated[int | None, typer.Option(help="Rank of every nested layer. Default: all components.")] = None,
    budget: Annotated[float | None, typer.Option(help="Instead: share of the model's FLOPs to stay within.")] = None,
    count: Annotated[int, typer.Option(help="New tokens.")] = 100,
    temperature: Annotated[float, typer.Option(help="0: always the most likely token.")] = 0.0,
    top_k: Annotated[int | None, typer.Option(help="Draw from so many of the most likely tokens.")] = None,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    engine: Annotated[str, typer.Option(help="numba or reference.")] = "numba",
):
    """Print a prompt and its continuation.

    Example: [bold]nsn-ref generate models/nested --prompt "To be" --budget 0.6 --temperature 0.8 --top-k 40[/bold]
    """
    import numpy as np

    from nsn_ref.cli.decoders import operations
    from nsn_ref.errors import OptionError
    from nsn_ref.hf.tokenizer import encode, read_tokenizer
    from nsn_ref.inference import multiplied_out
    from nsn_ref.nets.decoder.generation import generate as continue_sequences
    from nsn_ref.surgery.chain import rank_within
    from nsn_ref.surgery.folder import open_model

    if rank is not None and budget is not None:
        raise OptionError(f"generate: --rank is {rank} and --budget is {budget}, expected one of them")
    opened = open_model(model)
    config = opened.decoder.config
    if budget is not None:
        rank = rank_within(config, budget, opened.facts.get("chain", ()))
    tokenizer = read_tokenizer(model, config.vocabulary)
    tokens = encode(tokenizer, prompt, config.vocabulary, "--prompt")
    at = opened.decoder.R if rank is None else rank
    decoder, params, at = multiplied_out(opened.decoder, opened.params, at)
    sequences = continue_sequences(
        decoder, params, tokens[None], count, at, temperature=temperature, top_k=top_k,
        rng=np.random.default_rng(seed), ops=operations(engine),
    )  # fmt: skip
    typer.echo(tokenizer.decode(sequences[0]))
