"""`nsn-ref golden`: build the golden suite, and check ports with it. Each command has its own file."""

import typer

from nsn_ref.cli.golden_build import build
from nsn_ref.cli.golden_check import bisect, check
from nsn_ref.cli.golden_mutants import mutants

app = typer.Typer(no_args_is_help=True, help="Golden vectors: build the suite, check a port with it.")
app.command()(check)
app.command()(bisect)
app.command()(build)
app.command()(mutants)
