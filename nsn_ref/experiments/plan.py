"""From a form of an experiment to the cells that it consists of."""

import math
from pathlib import Path
from typing import NamedTuple

from nsn_ref import checks
from nsn_ref.errors import OptionError
from nsn_ref.experiments.code_version import code_version
from nsn_ref.experiments.experiment import FORMS
from nsn_ref.experiments.records import Cell
from nsn_ref.experiments.registry import EXPERIMENTS, experiment


class Task(NamedTuple):
    """A cell and what it takes to run it."""

    cell: Cell
    module: str  # where the experiment is
    data: object  # what the experiment's `load` gives; None where it takes none


def plan(name, form="quick", *, seeds=None, data=None, options=None):
    """The tasks of an experiment, the seeds of a cell together.

    Parameters
    ----------
    name : str
    form : str
        One of `FORMS`.
    seeds : int or sequence of int, optional
        How many, from 0 on, or which; default: as many as the form has.
    data : str, Path or what the experiment's `load` gives, optional
        Default: the experiment's.
    options : dict, optional
        Replace those of these names in every cell.

    Returns
    -------
    list of Task

    Raises
    ------
    OptionError, DataError, FileError
    """
    chosen = experiment(name)
    checks.choice(name, "form", form, FORMS)
    seeds = _seeds(name, chosen.seeds[form] if seeds is None else seeds)
    if chosen.data is None and data is not None:
        raise OptionError(f"{name}: data is {getattr(data, 'name', data)!r}, expected none: it makes its own")
    if chosen.data is not None and isinstance(data, str | Path | None):
        data = chosen.load(chosen.data if data is None else data)
    module = EXPERIMENTS[name]
    code = code_version(chosen.run.__module__)
    cells = _replaced(name, chosen.cells(form), options or {})
    sha256 = None if data is None else data.sha256
    return [Task(Cell(name, each, seed, sha256, code), module, data) for each in cells for seed in seeds]


def _seeds(name, seeds):
    if isinstance(seeds, list | tuple):
        for seed in seeds:
            checks.integer(name, "seed", seed, 0)
        if len(set(seeds)) < len(seeds) or not seeds:
            raise OptionError(f"{name}: seeds is {seeds!r}, expected different integers, at least one")
        return seeds
    checks.integer(name, "seeds", seeds, 1)
    return range(seeds)


def _replaced(name, cells, options):
    """Cells with other values of some options; those that have become equal are one."""
    for option, value in options.items():
        known = sorted({key for cell in cells for key in cell})
        checks.choice(name, "option", option, known)
        _check_value(name, option, value, [cell[option] for cell in cells if option in cell])
    replaced = [cell | {key: value for key, value in options.items() if key in cell} for cell in cells]
    return [cell for i, cell in enumerate(replaced) if cell not in replaced[:i]]


def _check_value(name, option, value, known):
    """Judge a value by those that the cells have, as `Experiment.cells` says."""
    if all(isinstance(each, str) for each in known):
        checks.choice(name, option, value, list(dict.fromkeys(known)))
    elif not any(_alike(value, each) for each in known):
        raise OptionError(f"{name}: {option} is {value!r}, expected a value as {known[0]!r}")


def _alike(value, old):
    """Whether an option may have a value where it may have another."""
    if isinstance(old, bool) or isinstance(value, bool):
        return isinstance(old, bool) and isinstance(value, bool)
    if isinstance(old, int):
        return isinstance(value, int) and value >= 1
    if isinstance(old, float):
        return isinstance(value, int | float) and math.isfinite(value) and value >= 0
    if isinstance(old, list | tuple):
        return isinstance(value, list | tuple) and all(any(_alike(each, one) for one in old) for each in value)
    if isinstance(old, dict):
        return isinstance(value, dict) and value.keys() == old.keys() and all(_alike(value[k], old[k]) for k in old)
    return value == old  # a choice, or None
