"""`nsn-ref warm`: compile everything, so that no later command has to wait."""

import typer


def warm():
    """Compile every kernel and the training step, for float32 and float64, into the cache on disk (a minute or two).

    Example: [bold]nsn-ref warm[/bold]
    """
    from rich.console import Console
    from rich.progress import track

    from nsn_ref.bench.warm import jobs

    work = jobs()
    for _, job in track(work, description="compiling", console=Console(stderr=True)):
        job()
    typer.echo(f"{len(work)} functions are compiled")
