"""A folder of results: for each experiment the records behind its page, the page, and its figures.

``NAME.jsonl`` is all that the rest is made from: its first line says what was run, each further one is a record.
"""

import json
from importlib import import_module
from pathlib import Path

from nsn_ref.analysis.plots import png
from nsn_ref.errors import FileError
from nsn_ref.experiments.records import checked, digest
from nsn_ref.experiments.registry import experiment
from nsn_ref.files import made_folder, read_bytes, write_atomically

SUFFIX = ".jsonl"
INDEX = "experiments.md"


def write_results(folder, facts, records):
    """Write the records of an experiment and its page.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    facts : dict
        ``"experiment"``, ``"command"`` and ``"data"`` (a name).
    records : sequence of dict

    Returns
    -------
    list of Path

    Raises
    ------
    FileError
    """
    path = made_folder(folder) / f"{facts['experiment']}{SUFFIX}"
    head = facts | {"records": [record["sha256"] for record in records]}
    lines = [head | {"sha256": digest(head)}, *records]
    write_atomically(path, "".join(json.dumps(line) + "\n" for line in lines))
    return [path, *write_page(path)]


def read_results(path):
    """What `write_results` was given.

    Returns
    -------
    facts : dict
    records : list of dict

    Raises
    ------
    FileError
        A line was altered, or is missing.
    """
    try:
        head, *records = map(json.loads, read_bytes(path).decode().splitlines())
        complete = head["sha256"] == digest(head) and head["records"] == [record["sha256"] for record in records]
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path}: are not the records of an experiment: {error}") from error
    if not complete:
        raise FileError(f"{path}: the records were altered, or are not complete")
    for i, record in enumerate(records, 2):
        checked(f"{path}, line {i}", record)
    return {name: head[name] for name in ("experiment", "command", "data")}, records


def write_page(path):
    """Write the page of ``NAME.jsonl`` and its figures beside it; their paths."""
    facts, records = read_results(path)
    chosen = experiment(facts["experiment"])
    write = chosen.page or import_module(f"{chosen.run.__module__}_page").page
    page = write([_for_page(record, facts) for record in records])
    contents = {name: png(figure) for name, figure in page.figures.items()}
    contents[f"{chosen.name}.md"] = PAGE.format(
        title=chosen.title,
        name=chosen.name,
        command=facts["command"],
        source="Ours: the paper has no counterpart." if chosen.source == "ours" else f"The paper's {chosen.source}.",
        body=page.body.strip("\n"),
        **_made_with(records),
    )
    for name, content in contents.items():
        write_atomically(Path(path).parent / name, content)
    return [Path(path).parent / name for name in contents]


def rebuild(folder, *, progress=lambda paths: paths):
    """Write every page of a folder again, and the list of them.

    Parameters
    ----------
    folder : str or Path
    progress : callable
        Wraps the list of files of records.

    Returns
    -------
    list of Path

    Raises
    ------
    FileError
    """
    sources = sorted(Path(folder).glob(f"*{SUFFIX}"))
    if not sources:
        raise FileError(f"{folder}: has no records ({SUFFIX}), expected the folder of `nsn-ref experiment NAME --out`")
    index = Path(folder) / INDEX
    rows = "".join(map(_row, sources))
    written = [path for source in progress(sources) for path in write_page(source)]
    write_atomically(index, LIST.format(rows=rows))
    return [*written, index]


def _for_page(record, facts):
    """A record as `Experiment.page` is promised it."""
    cell, made = record["cell"], record["made"]
    of_cell = {name: cell[name] for name in ("options", "seed")}
    times = {name: made[name] for name in ("seconds", "wall_seconds")}
    return of_cell | times | {"result": record["result"], "data": facts["data"]}


def _made_with(records):
    environments = [record["made"]["environment"] for record in records]
    versions = [environment["versions"] for environment in environments]
    return {
        "cells": len(records),
        "seeds": _seeds({record["cell"]["seed"] for record in records}),
        "wall": _minutes(records, "wall_seconds"),
        "cpu": _minutes(records, "cpu_seconds"),
        "finished": max(record["made"]["finished"] for record in records)[:10],
        "processor": _different(environment["processor"] for environment in environments),
        "python": _different(version["python"] for version in versions),
        "numpy": _different(version["numpy"] for version in versions),
        "code": _different(record["cell"]["code"] for record in records),
    }


def _row(path):
    facts, records = read_results(path)
    chosen = experiment(facts["experiment"])
    cells = [f"[{chosen.title}]({chosen.name}.md)", chosen.source, facts["data"] or "", len(records)]
    cells += [_minutes(records, clock) for clock in ("cpu_seconds", "wall_seconds")]
    return "| " + " | ".join(map(str, cells)) + " |\n"


def _minutes(records, clock):
    return f"{sum(record['made'][clock] for record in records) / 60:.1f}"


def _seeds(seeds):
    first, last = min(seeds), max(seeds)
    return f"{first} to {last}" if len(seeds) == last - first + 1 > 2 else _different(sorted(seeds))


def _different(values):
    return ", ".join(map(str, dict.fromkeys(values)))


PAGE = """# {title}

<!-- Written by the command below; edit what `nsn-ref report` writes it with instead. -->

    {command}

{source}

{body}

## Made with

{processor}, one thread for each cell; Python {python}, NumPy {numpy}, nsn_ref {code}. {cells} cells, seeds {seeds}: in
all {cpu} minutes of processor time, {wall} minutes by the clock of each cell; the last on {finished}. Each cell is a
line of [{name}.jsonl]({name}.jsonl), from which `nsn-ref report` writes this page again.
"""

LIST = """# Experiments

<!-- Written by `nsn-ref report`. -->

Each page prints the command that makes it. Minutes are sums over the cells, each with one thread: of processor time,
and by the clock, which is more where others want the cores, too.

| page | source | data | cells | minutes, processor | minutes, clock |
| --- | --- | --- | ---: | ---: | ---: |
{rows}"""
