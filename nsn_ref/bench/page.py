"""Benchmarks as a page of Markdown; every number is computed from the record."""

from nsn_ref.bench.machine import lines
from nsn_ref.bench.names import tables
from nsn_ref.bench.record import commands
from nsn_ref.bench.tables import markdown

HEAD = """# Speed

<!-- Written by what is below; edit nsn_ref/bench/page.py instead. -->

{commands}

What is compared, and what is fair: [benchmarks](../benchmarks.md). What was tried, and why some targets are missed:
[log](speed-log.md).{rounds}

{machine}"""


def page(record, *, json=None, figure=None):
    """The page.

    Parameters
    ----------
    record : dict
    json, figure : str, optional
        Names of the files beside it.
    """
    machine = "\n".join(f"- {what}: {which}" for what, which in lines(record["machine"]))
    ran = "\n".join(f"    {command}" for command in commands(record))
    rounds = "" if json is None else f" Every time, round by round: [{json}]({json})."
    parts = [HEAD.format(commands=ran, rounds=rounds, machine=machine)]
    if figure is not None:
        parts.append(f"![Times by engine]({figure})")
    for name, section in record["benchmarks"].items():
        parts += map(markdown, tables(name, section))
    return "\n\n".join(parts) + "\n"
