"""From the start of a process to its first training step, with compiled code in the cache."""

import subprocess
import sys
import time

from nsn_ref.bench.process import environment
from nsn_ref.bench.statistics import median
from nsn_ref.bench.tables import Table, milliseconds
from nsn_ref.errors import NSNError

ASKED = 1500.0  # ms


def run(plan):
    """Start a process for each round, after one that fills the cache."""
    plan.say("start-up")
    first = start(plan.threads)
    return {"first_ms": first, "ms": [start(plan.threads) for _ in range(plan.rounds)]}


def start(threads):
    """Milliseconds until a new process has said that a step is done.

    Raises
    ------
    NSNError
    """
    began = time.perf_counter()
    command = [sys.executable, "-m", "nsn_ref.bench.tasks.first_step"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(threads)) as process:
        said = process.stdout.readline()
        elapsed = 1e3 * (time.perf_counter() - began)
    if said != "done\n":
        raise NSNError(f"bench startup: the process ended with status {process.returncode} before its first step")
    return elapsed


def tables(record):
    """The milliseconds, and what is asked."""
    met = "yes" if median(record["ms"]) < ASKED else "no"
    row = "process start to first step", f"{ASKED:.0f}", milliseconds(record["ms"]), met
    before = f"The process before them, which fills the cache where it was empty: {record['first_ms']:.0f}."
    return [Table("Start-up", ("", "asked", "reached", "met"), [row], ("Milliseconds, median and range.", before))]
