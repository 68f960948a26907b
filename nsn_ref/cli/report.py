"""`nsn-ref report`: the pages of a folder of results, from their records."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(help="Where NAME.jsonl are, as `nsn-ref experiment NAME` writes them.")] = (
        Path("runs/results")
    ),
):
    """Write every page and figure of a folder of results again, and the list of them.

    Example: [bold]nsn-ref report docs/results[/bold]
    """
    from nsn_ref.cli import console
    from nsn_ref.experiments.report import rebuild

    with console.progress(console.console(), "pages", None) as track:
        written = rebuild(folder, progress=track)
    for path in written:
        typer.echo(f"wrote {path}")
