"""The benchmarks by name, in the order of the page."""

import functools
import importlib

from nsn_ref import checks
from nsn_ref.bench import sweeps
from nsn_ref.bench.sweeps import SWEEPS

NAMES = ("step", *SWEEPS, "operations", "digits", "memory", "startup")
ALL = "all"


def chosen(name):
    """The names that a name stands for: itself, or all.

    Raises
    ------
    OptionError
    """
    checks.choice("bench", "NAME", name, (*NAMES, ALL))
    return NAMES if name == ALL else (name,)


def runner(name):
    """The function that runs a benchmark under a plan."""
    return functools.partial(sweeps.run, name) if name in SWEEPS else _module(name).run


def tables(name, record):
    """The tables of a benchmark's record."""
    return (sweeps if name in SWEEPS else _module(name)).tables(record)


def _module(name):
    return importlib.import_module(f"nsn_ref.bench.{name}")
