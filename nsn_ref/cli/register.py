"""The list of commands, in the order that `nsn-ref --help` shows them, groups last."""

import inspect


def commands(app):
    """Attach every command to the application."""
    from nsn_ref.cli import (
        adapt,
        bench,
        claims,
        cost,
        eval,
        experiment,
        export,
        frontier,
        generate,
        golden,
        report,
        sweep,
        train,
        warm,
    )

    app.add_typer(golden.app, name="golden")
    app.add_typer(train.app, name="train")
    app.command(name="frontier")(frontier.frontier)
    app.command(name="adapt")(adapt.adapt)
    app.command(name="eval")(eval.evaluate)
    app.command(name="generate")(generate.generate)
    app.command(name="export")(export.export)
    app.command(name="cost")(cost.cost)
    app.command(name="claims")(claims.claims)
    app.add_typer(experiment.app, name="experiment")
    app.command(name="sweep")(sweep.sweep)
    app.command(name="report")(report.report)
    app.command(name="bench")(bench.bench)
    app.command(name="warm")(warm.warm)
    _reflow(app)


def _reflow(app):
    """Make each paragraph of a help text one line: terminals of any width break it, the source's line ends do not."""
    for command in app.registered_commands:
        paragraphs = inspect.getdoc(command.callback).split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for group in app.registered_groups:
        _reflow(group.typer_instance)
