"""Engines on one task: first they must agree, then they take turns."""

import contextlib
import time

from nsn_ref.bench import equality
from nsn_ref.bench.process import Worker

CHECKED = 5  # steps
WARM = 5  # steps before a timing, and one step in twenty of it


@contextlib.contextmanager
def workers(modules, threads):
    """A `Worker` for each engine, by name; they end with the block."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(Worker(name, module, threads)) for name, module in modules.items()}


def agree(crew, tasks, expected, tolerance):
    """Let every engine take a few steps, and compare what they find.

    Returns
    -------
    dict of str to dict
        By engine: ``"difference"``, the largest relative one, and ``"first_seconds"``, from nothing to the first step
        done, with the imports of its framework and compilation.

    Raises
    ------
    NSNError
        An engine finds something else.
    """
    facts = {}
    for name, worker in crew.items():
        began = time.perf_counter()
        worker.ask("make", task=tasks[name])
        found = worker.ask("read", steps=1)["found"]
        seconds = time.perf_counter() - began
        found += worker.ask("read", steps=len(expected) - 1)["found"]
        facts[name] = {"difference": equality.check(name, found, expected, tolerance), "first_seconds": seconds}
    return facts


def take_turns(crew, tasks, rounds, turn):
    """Time engines in turns: A B C, A B C, ...

    Parameters
    ----------
    crew : dict of str to Worker
    tasks : dict of str to dict
    rounds : int
    turn : float
        About how long a turn lasts, in seconds.

    Returns
    -------
    dict of str to dict
        By engine: ``"ms"``, the milliseconds of a step in each round.
    """
    results, counts = {name: {"ms": []} for name in crew}, {}
    for name, worker in crew.items():
        worker.ask("make", task=tasks[name])
        one = worker.ask("run", steps=3, warm=WARM)["seconds"] / 3
        counts[name] = max(3, round(turn / one))
    for _ in range(rounds):
        for name, worker in crew.items():
            seconds = worker.ask("run", steps=counts[name], warm=WARM + counts[name] // 20)["seconds"]
            results[name]["ms"].append(1e3 * seconds / counts[name])
    return results
