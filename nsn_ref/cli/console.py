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


def say(console, text):
    """One line as it is: no markup, no colours, no wrapping."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
