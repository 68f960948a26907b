"""`nsn-ref adapt`: a pretrained decoder as a nested one."""

from pathlib import Path
from typing import Annotated

import typer


def adapt(
    model: Annotated[Path, typer.Argument(help="A Hugging Face folder: config.json and safetensors.")],
    out: Annotated[Path, typer.Option(help="Folder to write; it must not exist.")],
    layers: Annotated[
        str, typer.Option(help="mlp, attention, all, or a pattern such as 'blocks.[01].*'; several with commas.")
    ] = "mlp",
    ranks: Annotated[
        str, typer.Option(help="Components of each layer: full, 64, 0.5x (of break-even) or energy=0.95.")
    ] = "full",
    whiten: Annotated[
        bool, typer.Option("--whiten", help="Smallest output error on --text, not weight error.")
    ] = False,
    text: Annotated[Path | None, typer.Option(help="Text file to calibrate on, UTF-8.")] = None,
    window: Annotated[int | None, typer.Option(help="Tokens in a window of the text. Default: the context.")] = None,
    limit: Annotated[int, typer.Option(help="Calibrate on the first windows of the text.")] = 128,
    method: Annotated[
        str, typer.Option(help="auto, exact or randomised. auto: randomised for large layers at few components.")
    ] = "auto",
    randomised: Annotated[bool, typer.Option("--randomised", help="Short for --method randomised.")] = False,
    budgets: Annotated[
        str | None, typer.Option(help="Shares of the model's FLOPs, increasing: choose ranks of all layers for each.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random projections.")] = 0,
):
    """Factorise layers of a decoder and write a nested one, layer by layer.

    The folder has the factors, config.json and the tokenizer of the source, and nsn.json: what was done to which files,
    with the error of each layer.

    Example: [bold]nsn-ref adapt models/pythia-70m --out models/nested --ranks 0.5x[/bold]

    Example: [bold]nsn-ref adapt MODEL --out DIR --layers mlp,attention --whiten --text corpus.txt[/bold]
    """
    from nsn_ref.cli.console import console, say, steps
    from nsn_ref.cli.decoders import read_text
    from nsn_ref.cli.parsing import numbers
    from nsn_ref.errors import OptionError
    from nsn_ref.hf import read_config
    from nsn_ref.surgery import adapt as surgery
    from nsn_ref.surgery.choice import choose_layers

    if whiten != (text is not None):
        raise OptionError(f"adapt: --whiten is {whiten} and --text is {text}, expected both or neither")
    config = read_config(model)
    tokens = read_text(model, config, text, window, limit).windows if whiten else None
    with steps("factorising", len(choose_layers(config, layers))) as step:
        facts = surgery.adapt(
            model, out, layers=layers, ranks=ranks, method="randomised" if randomised else method, tokens=tokens,
            budgets=numbers("adapt: --budgets", budgets) if budgets else (), seed=seed, progress=step,
        )  # fmt: skip
    terminal = console()
    terminal.print(_table(facts["layers"], "of outputs" if whiten else "of weights"))
    for link in facts["chain"]:
        say(terminal, f"budget {link['budget']:g}: ranks {', '.join(map(str, link['ranks'].values()))}")
    say(terminal, f"wrote {out}\nperplexity at every rank: nsn-ref eval {out} --text FILE")


def _table(reports, what):
    from rich.table import Table

    shown = Table(caption=f"relative error {what} at R", caption_justify="left")
    for column in ("layer", "R", "method", "error", "best possible"):
        shown.add_column(column, justify="left" if column in ("layer", "method") else "right")
    for key, report in reports.items():
        best = "not computed" if report["best_error"] is None else f"{report['best_error']:.4g}"
        shown.add_row(key, str(report["R"]), report["method"], f"{report['error']:.4g}", best)
    return shown
