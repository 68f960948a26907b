"""A progress bar with the loss at each rank of the step and the time left."""

import contextlib


@contextlib.contextmanager
def progress_bar(shown, done, steps):
    """A function to call with the record of each step; the bar is on screen inside the block.

    Parameters
    ----------
    shown : bool
    done, steps : int
        Steps done already, and in all.
    """
    if not shown:
        yield lambda record: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=steps, completed=done)
        yield lambda record: bar.update(task, completed=record["step"], description=describe(record))


def describe(record):
    """The losses of a step by rank, in the order trained: "loss r64 0.1234  r7 0.5678"."""
    each = zip(record["ranks"], record["losses"], strict=True)
    return "loss " + "  ".join(f"r{rank} {loss:.4f}" for rank, loss in list(each)[:4])
