"""The engines, one file each. A file has ``make(task)``, which returns a `Steps`; a framework is imported inside it."""

import contextlib
import importlib.metadata
from typing import NamedTuple

from nsn_ref import checks


class Engine(NamedTuple):
    """Where an engine is found."""

    distribution: str | None  # the name on PyPI of what must be installed
    step: str | None = None  # the module of this package that takes steps, if there is one
    digits: str | None = None  # that trains on digits
    all_ranks: str | None = None  # that evaluates a network at all ranks


class Steps:
    """Something that is done again and again, and what comes of it."""

    done = 0

    def step(self, i):
        """Do it for the i-th time; what comes of it, perhaps not yet computed."""
        raise NotImplementedError

    def several(self, count):
        """Do it some times, and return once all is done."""
        result = None
        for _ in range(count):
            result = self.step(self.done)
            self.done += 1
        if count:
            self.wait(result)
        return result

    def wait(self, result):
        """Return once a result is there, and all before it."""

    def read(self, result):
        """A result as a list of floats."""
        raise NotImplementedError

    def close(self):
        """End what was started."""


ENGINES = {
    "ours": Engine(None, "ours", "digits_ours", "all_ranks_ours"),
    "ours-mkl": Engine("mkl", "ours_mkl"),
    "operations": Engine(None, "operations"),
    "reference": Engine(None, "reference", "digits_reference", "all_ranks_reference"),
    "torch": Engine("torch", "torch_eager", "digits_torch", "all_ranks_torch"),
    "torch-compile": Engine("torch", "torch_compiled"),
    "jax": Engine("jax", "jax_jit", all_ranks="all_ranks_jax"),
    "sklearn": Engine("scikit-learn", digits="digits_sklearn"),  # it has no nested layer
}
ALIASES = {"numpy": "reference"}
STEPPING = tuple(name for name, engine in ENGINES.items() if engine.step)
QUICK_TO_START = tuple(name for name in STEPPING if name != "torch-compile")  # it compiles longer than it is timed
SWEEPING = ("ours", "operations", "torch", "jax")
DIGITS = tuple(name for name, engine in ENGINES.items() if engine.digits)
ALL_RANKS = tuple(name for name, engine in ENGINES.items() if engine.all_ranks)


def named(function, names):
    """Names of engines, aliases among them, as keys of `ENGINES`.

    Raises
    ------
    OptionError
    """
    for name in names:
        checks.choice(function, "--against", name, (*ENGINES, *ALIASES))
    return tuple(ALIASES.get(name, name) for name in names)


def installed(name):
    """Whether an engine can be used here."""
    return ENGINES[name].distribution is None or version(name) is not None


def version(name):
    """The version of what an engine needs; None if it is not installed."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(ENGINES[name].distribution)


def path(module):
    """Full name of a module of this package."""
    return f"{__name__}.{module}"
