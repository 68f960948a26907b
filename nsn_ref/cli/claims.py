"""`nsn-ref claims`: what this project says, what proves it and what tests it."""

from pathlib import Path
from typing import Annotated

import typer

from nsn_ref.cli import console as terminal


def claims(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[FAMILY|ID]...", help="Families such as LIN, or ids such as LIN-2.")
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(help="proved, 'proved with added hypothesis', 'refuted as stated' or empirical."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    docs: Annotated[Path | None, typer.Option(help="Write the page of all claims to this file instead.")] = None,
):
    """List the claims about nested subspace networks, with what proves and what tests each; one id shows it in full.

    Example: [bold]nsn-ref claims LIN --status "refuted as stated"[/bold]

    Example: [bold]nsn-ref claims LIN-2[/bold]
    """
    from nsn_ref import claims as ledger

    every = ledger.load()
    chosen = ledger.select(every, names or (), status)
    console = terminal.console()
    if docs is not None:
        from nsn_ref.claims_page import page
        from nsn_ref.files import write_atomically

        write_atomically(docs, page(every, ledger.theorems()))
        terminal.say(console, f"wrote {docs}")
    elif as_json:
        _print_json([claim._asdict() for claim in chosen])
    elif names == [claim.id for claim in chosen]:
        for claim in chosen:
            _show(console, claim, ledger.theorems())
    else:
        console.print(_table(chosen))


def _print_json(content):
    import json

    typer.echo(json.dumps(content, indent=1))


def _table(claims):
    from collections import Counter

    from rich import box
    from rich.markup import escape
    from rich.table import Table

    counts = Counter(claim.status for claim in claims)
    caption = ", ".join([f"{len(claims)} claims", *(f"{count} {status}" for status, count in counts.items())])
    table = Table(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left")
    table.add_column("claim", no_wrap=True)
    table.add_column("statement")
    table.add_column("status", max_width=10)  # "hypothesis": the room is the statement's
    for column in ("theorems", "tests"):
        table.add_column(column, justify="right", no_wrap=True)
    for claim in claims:
        counted = (str(len(found)) for found in (claim.theorems, claim.tests))
        table.add_row(claim.id, escape(claim.sentence), claim.status, *counted)
    return table


def _show(console, claim, theorems):
    lines = [f"{claim.id}: {claim.status}", claim.sentence, "", f"    {claim.formula}", "", f"source: {claim.source}"]
    for name in claim.theorems:
        theorem = theorems[name]
        axioms = ", ".join(theorem.axioms) or "none"
        lines += ["", f"proofs/{theorem.file}:{theorem.line} {theorem.name}", f"    {theorem.sentence}"]
        lines += [f"    {theorem.statement}", f"    axioms: {axioms}"]
    lines += ["", *(f"test: {test}" for test in claim.tests), *(f"code: {name}" for name in claim.functions)]
    for line in [*lines, f"page: docs/{claim.page}"]:
        terminal.say(console, line)
