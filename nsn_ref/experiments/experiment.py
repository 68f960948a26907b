"""What an experiment is: cells that are run one by one, and a page that is written from their records.

An experiment knows nothing of files, processes or clusters; `runner` and `report` do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from nsn_ref.experiments.data import load

FORMS = ("smoke", "quick", "full")  # seconds, minutes, as long as it takes


class Page(NamedTuple):
    """What an experiment says of its records."""

    body: str  # Markdown below the title; heads of sections start with ##
    figures: dict  # file name (starts with the experiment's name, ends with .png) to matplotlib Figure


@dataclass(frozen=True)
class Experiment:
    """One table or figure.

    A module of an experiment names it ``EXPERIMENT``.

    Parameters
    ----------
    name : str
        As in ``nsn-ref experiment NAME``.
    title : str
        Of the page.
    summary : str
        One line for ``--list``.
    source : str
        The paper's figure or table, or "ours".
    cells : callable
        ``cells(form)``, form one of `FORMS`: a list of dict, the options of each cell without its seed. What JSON can
        hold; equal options are one cell. A sweep may replace their values: strings, which are choices, by others of
        the form; integers, which are sizes, by integers from 1 on; other numbers by finite ones from 0 on; lists and
        tables part by part.
    seeds : dict of str to int
        By form, how many times each cell is run: with the seeds 0, 1, ...
    run : callable
        ``run(data, options, seed)``: a dict of what JSON can hold, the result of one cell. It depends on its arguments
        alone, but for the entry ``"seconds"`` at its top (a number or a dict of them), which is recorded apart.
    page : callable, optional
        ``page(records)``: a `Page`. Each record is a dict with ``"options"``, ``"seed"``, ``"result"`` (without its
        ``"seconds"``), ``"seconds"`` (None if the cell gave none), ``"wall_seconds"`` and ``"data"`` (name); ordered as
        `cells`, the seeds of a cell together. Default: `page` of the module that is named as that of `run`, with
        ``_page`` behind it; a change there does not make the records old (see `code_version`).
    data : str, optional
        The data set unless another is asked for; None: the experiment takes none, and `run` is given None.
    load : callable, optional
        ``load(name)``: the data of a name or path, with its own ``name`` and ``sha256``. Default: tables, by
        `nsn_ref.experiments.data.load`.
    """

    name: str
    title: str
    summary: str
    source: str
    cells: Callable
    seeds: dict
    run: Callable
    page: Callable | None = None
    data: str | None = "digits"
    load: Callable = load
