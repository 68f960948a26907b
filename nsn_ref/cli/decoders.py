"""What the commands on decoders share: texts as windows, ranks by name, the engine."""

from pathlib import Path
from typing import NamedTuple

from nsn_ref.errors import DataError, OptionError

ENGINES = ("numba", "reference")


class TextWindows(NamedTuple):
    """A text as tokens of a model."""

    windows: object  # ndarray (n, T)
    sha256: str  # of the file


def read_text(model, config, text, window=None, limit=None):
    """A text file in windows of at most the model's context.

    Parameters
    ----------
    model : Path
        Folder with the tokenizer.
    config : DecoderConfig
    text : Path
    window : int, optional
        Tokens in a window. Default: the context.
    limit : int, optional
        Use the first windows only.

    Raises
    ------
    FileError, DataError, OptionError
    """
    from nsn_ref import checks
    from nsn_ref.experiments.text import windows
    from nsn_ref.files import read_bytes, sha256
    from nsn_ref.hf.tokenizer import encode, read_tokenizer

    length = config.context if window is None else window
    checks.integer("read_text", "--window", length, 2, config.context)
    if limit is not None:
        checks.integer("read_text", "--limit", limit, 1)
    content = read_bytes(text)
    try:
        decoded = content.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{text}: is not UTF-8: {error}") from None
    tokens = encode(read_tokenizer(model, config.vocabulary), decoded, config.vocabulary, str(text))
    return TextWindows(windows(tokens, min(length, max(len(tokens), 2)), str(text))[:limit], sha256(content))


def named_ranks(decoder, facts, ranks=None, budgets=None):
    """Ranks to run at by the names of their rows.

    Parameters
    ----------
    decoder : Decoder
    facts : dict
        What nsn.json says.
    ranks : str, optional
        Integers separated by commas, or "all". Default: powers of two and R.
    budgets : str, optional
        Shares of the plain decoder's FLOPs, separated by commas: for each the link of the chain within it, else one
        rank for all layers.

    Raises
    ------
    OptionError, RankError
    """
    from nsn_ref.cli.parsing import integers, numbers
    from nsn_ref.surgery.chain import rank_within

    if not decoder.nested_layers:
        if ranks is not None or budgets is not None:
            raise OptionError("--ranks or --budgets: the model has no nested layers, expected one that has")
        return {"plain": 1}
    R = decoder.R
    if ranks is None:
        at = sorted({R, *(2**k for k in range(R.bit_length()))})
    else:
        at = range(1, R + 1) if ranks == "all" else integers("--ranks", ranks)
    named = {str(rank): rank for rank in at}
    for budget in numbers("--budgets", budgets) if budgets else ():
        named[f"budget {budget:g}"] = rank_within(decoder.config, budget, facts.get("chain", ()))
    for rank in named.values():
        decoder.layer_ranks(rank, "--ranks")
    return named


def operations(engine):
    """The module of an engine.

    Raises
    ------
    OptionError
    """
    from nsn_ref import checks

    checks.choice("engine", "--engine", engine, ENGINES)
    if engine == "reference":
        from nsn_ref import ops

        return ops
    from nsn_ref import kernels

    return kernels


def evaluate(model, windows, ranks, ops):
    """Rows of `decoder_frontier`, with a progress bar."""
    from nsn_ref.analysis.decoder_frontier import decoder_frontier
    from nsn_ref.cli.console import steps

    batch = 8
    with steps("evaluating", len(ranks) * -(-len(windows) // batch)) as step:
        return decoder_frontier(model.decoder, model.params, windows, ranks, ops=ops, progress=step)


def table(rows):
    """The rows as a table."""
    from rich.table import Table

    shown = Table()
    for column in ("rank", "perplexity", "loss", "FLOPs per token", "share of plain", "as products"):
        shown.add_column(column, justify="right")
    for row in rows:
        shown.add_row(
            row.rank, f"{row.perplexity:,.3f}", f"{row.loss:.4f}", f"{row.flops:,}", f"{100 * row.share:.1f} %",
            str(row.products),
        )  # fmt: skip
    return shown


def folder_title(folder):
    """A name for figures."""
    return Path(folder).resolve().name
