"""What `--help` shows of every command."""

import inspect
import re

import pytest
import typer
from typer.testing import CliRunner

from nsn_ref.cli import register


def application():
    app = typer.Typer(rich_markup_mode="rich")
    register.commands(app)
    return app


def commands(app, *path):
    """Words that call a command, and its function."""
    for command in app.registered_commands:
        yield (*path, command.name or command.callback.__name__), command.callback
    for group in app.registered_groups:
        yield from commands(group.typer_instance, *path, group.name)


COMMANDS = {" ".join(path): function for path, function in commands(application())}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wide_terminal_shows_each_paragraph_on_one_line(name):
    result = CliRunner().invoke(application(), [*name.split(), "--help"], env={"COLUMNS": "1000", "TERM": "dumb"})
    assert result.exit_code == 0
    shown = {line.strip() for line in result.output.splitlines()}
    for paragraph in re.sub(r"\[/?bold\]", "", inspect.getdoc(COMMANDS[name])).split("\n\n"):
        assert " ".join(paragraph.split()) in shown
