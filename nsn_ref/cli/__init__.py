"""The command line: parse, call, print. One file per command or group; heavy modules are imported inside commands."""

import sys
from typing import Annotated

import typer

from nsn_ref.errors import NSNError


def _show_version(wanted: bool):
    if wanted:
        from nsn_ref import __version__

        typer.echo(f"nsn_ref {__version__}")
        raise typer.Exit()


app = typer.Typer(
    name="nsn-ref",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
):
    """Reference implementation and verification suite for nested subspace networks."""


def main():
    """Run the command line; a typed error prints one message and exits with status 2."""
    from nsn_ref.cli import register

    register.commands(app)
    try:
        app()
    except NSNError as error:
        typer.secho(f"error: {error}", err=True, fg="red")
        sys.exit(2)
