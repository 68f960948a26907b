"""The frontier of a run as files: a table for programs, and three figures."""

import csv
import io
import json
from typing import NamedTuple

import numpy as np

from nsn_ref.analysis import plots
from nsn_ref.analysis.frontier import FrontierRow, energies, frontier, log_variances, trained_ranks
from nsn_ref.errors import OptionError
from nsn_ref.files import made_folder, write_atomically
from nsn_ref.training.held_out import load_held_out


class FrontierReport(NamedTuple):
    """What is written."""

    rows: list  # of FrontierRow
    steps: np.ndarray  # (m,)
    s: np.ndarray  # (m, R): log-variances at those steps
    energies: dict  # name of a layer to (R,)


def evaluate(run, folder):
    """Evaluate a run on the rows that its folder holds out.

    Parameters
    ----------
    run : Run
    folder : str or Path

    Returns
    -------
    FrontierReport

    Raises
    ------
    FileError
    OptionError
        It is no classifier, or has not taken a step.
    """
    if run.config.loss != "cross_entropy":
        raise OptionError(f"frontier: {folder} was trained for {run.config.loss!r}, expected 'cross_entropy'")
    if not run.metrics:
        raise OptionError(f"frontier: {folder} has taken 0 of its {run.steps} steps, expected at least one")
    x, labels = load_held_out(folder)
    rows = frontier(run.net, run.params, x, labels, trained=trained_ranks(run.metrics))
    return FrontierReport(rows, *log_variances(run), energies(run.net, run.params))


def write(report, folder, *, title):
    """Write the CSV, the JSON and the figures, each in one step; returns their paths.

    Parameters
    ----------
    report : FrontierReport
    folder : str or Path
        It is made.
    title : str
        Of the figures.

    Raises
    ------
    FileError
    """
    folder = made_folder(folder)
    trained = [row.rank for row in report.rows if row.trained]
    contents = {
        "frontier.csv": _csv(report.rows),
        "frontier.json": _json(report, title),
        "frontier.png": plots.accuracy_against_flops(report.rows, f"Accuracy at every rank\n{title}"),
        "log_variances.png": plots.log_variances(report.steps, report.s, trained, f"Learned log-variances\n{title}"),
        "energies.png": plots.component_energies(report.energies, f"Component energies\n{title}"),
    }
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def _csv(rows):
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(FrontierRow._fields)
    writer.writerows(rows)
    return buffer.getvalue()


def _json(report, title):
    content = {
        "run": title,
        "rows": [row._asdict() for row in report.rows],
        "log_variances": {"steps": report.steps.tolist(), "s": report.s.tolist()},
        "energies": {name: values.tolist() for name, values in report.energies.items()},
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"
