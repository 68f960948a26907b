"""The command line: parse, call, print. One file per command or group; heavy modules are imported inside commands."""

import sys

import typer

from nsn_ref.errors import NSNError

app = typer.Typer(
    name="nsn-ref",
    help="Reference implementation and verification suite for nested subspace networks.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def main():
    """Run the command line; a typed error prints one message and exits with status 2."""
    from nsn_ref.cli import register

    register.commands(app)
    try:
        app()
    except NSNError as error:
        typer.secho(f"error: {error}", err=True, fg="red")
        sys.exit(2)
