"""The list of commands, in the order that `nsn-ref --help` shows them."""


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
