"""The benchmarks by name, in the order of the page."""

import functools
import importlib

from nsn_ref import checks
from nsn_ref.bench import sweeps
from nsn_ref.bench.sweeps import SWEEPS

NAMES = ("step", "float64", "conv", *SWEEPS, "allranks", "operations", "digits", "memory", "startup", "subnormals")
ALL = "all"


def chosen(name):
    """The names that are asked for, separated by commas, in the order of the page; or all.

    Raises
    ------
    OptionError
    """
    asked = [part.strip() for part in name.split(",")]
    for part in asked:
        checks.choice("bench", "NAME", part, (*NAMES, ALL))
    return NAMES if ALL in asked else tuple(each for each in NAMES if each in asked)


def runner(name):
    """The function that runs a benchmark under a plan."""
    return functools.partial(sweeps.run, name) if name in SWEEPS else _module(name).run


def tables(name, record):
    """The tables of a benchmark's record."""
    return (sweeps if name in SWEEPS else _module(name)).tables(record)


def _module(name):
    return importlib.import_module(f"nsn_ref.bench.{name}")
