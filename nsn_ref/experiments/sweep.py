"""A grid of cells, written as TOML: experiments x data sets x options x seeds."""

import itertools
import json
import tomllib

from nsn_ref import checks
from nsn_ref.errors import FileError, OptionError
from nsn_ref.experiments.experiment import FORMS
from nsn_ref.experiments.plan import plan
from nsn_ref.experiments.registry import experiment
from nsn_ref.files import read_bytes

KEYS = ("experiment", "form", "seeds", "data", "options")


def read_sweep(path):
    """The tasks of a sweep; nothing is run before all of it is known to make sense.

    Each ``[[grid]]`` of the file has ``experiment`` (a name or several), and where wanted ``form``, ``seeds`` (how
    many, or which), ``data`` (a name or several) and ``options``: by name, the values that it takes in turn.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    list of Task
        Those that are in several grids once.

    Raises
    ------
    FileError, OptionError, DataError
    """
    try:
        spec = tomllib.loads(read_bytes(path).decode())
    except ValueError as error:  # of the TOML, or of its encoding
        raise FileError(f"{path}: is not TOML: {error}") from error
    grids = spec.get("grid")
    if spec.keys() != {"grid"} or not isinstance(grids, list) or not grids:
        raise OptionError(f"{path}: has {', '.join(spec) or 'nothing'}, expected one [[grid]] or more and nothing else")
    loaded = {}
    tasks = [task for i, grid in enumerate(grids) for task in _tasks(f"{path}: grid {i}", grid, loaded)]
    return list({task.cell.key: task for task in tasks}.values())


def _tasks(where, grid, loaded):
    for key in grid:
        checks.choice(where, "key", key, KEYS)
    if "experiment" not in grid:
        raise OptionError(f"{where}: has no experiment")
    form = grid.get("form", "quick")
    checks.choice(where, "form", form, FORMS)
    options = grid.get("options", {})
    if not isinstance(options, dict):
        raise OptionError(f"{where}: options is {options!r}, expected a table")
    for name in _several(where, "experiment", grid["experiment"]):
        own = experiment(name)
        values = {option: _values(name, form, option, value) for option, value in options.items()}
        for data in _several(where, "data", grid.get("data", [own.data])):
            if data is not None and (own.load, data) not in loaded:
                loaded[own.load, data] = own.load(data)
            given = {"seeds": grid.get("seeds"), "data": loaded.get((own.load, data))}
            for chosen in itertools.product(*values.values()):
                yield from plan(name, form, **given, options=dict(zip(values, chosen, strict=True)))


def _several(where, key, value):
    """One name, or a list of different ones."""
    names = value if isinstance(value, list) else [value]
    strings = all(isinstance(name, str | None) for name in names)  # None: the experiment takes no data
    if not names or not strings or len(set(names)) < len(names):
        raise OptionError(f"{where}: {key} is {value!r}, expected a name or a list of different names")
    return names


def _values(name, form, option, value):
    """What an option is to be in turn: the elements of a list; a lone value, or list where it is one, is just that."""
    listed = any(isinstance(cell.get(option), list | tuple) for cell in experiment(name).cells(form))
    several = isinstance(value, list) and not (listed and not all(isinstance(each, list) for each in value))
    values = value if several else [value]
    if not values:
        raise OptionError(f"{name}: {option} is [], expected at least one value")
    return values


def json_lines(tasks, records):
    """Cells and results as text, one line of JSON for each."""
    lines = []
    for task, record in zip(tasks, records, strict=True):
        line = {name: record["cell"][name] for name in ("experiment", "options", "seed")}
        line |= {"data": task.data and task.data.name, "result": record["result"], "made": record["made"]}
        lines.append(json.dumps(line) + "\n")
    return "".join(lines)
