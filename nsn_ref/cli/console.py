"""What commands draw on a terminal."""

import contextlib


def console():
    """The terminal, or the file that output goes to."""
    from rich.console import Console

    return Console()


def progress(console, what, total):
    """A context that yields a wrapper of iterables; it draws a bar on a terminal and nothing elsewhere."""
    from rich.progress import Progress

    @contextlib.contextmanager
    def bar():
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            yield lambda items: progress.track(items, total=total, description=what)

    return bar()


@contextlib.contextmanager
def steps(what, total):
    """A function to call after each of a number of steps, with any arguments; on a terminal it moves a bar."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda *_: bar.advance(task)


def say(console, text):
    """One line as it is: no markup, no colours, no wrapping."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
