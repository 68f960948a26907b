"""The engines, one file each. A file has ``make(task)``, which returns a `Steps`; a framework is imported inside it."""

import contextlib
import importlib.metadata
from typing import NamedTuple

from nsn_ref import checks


class Engine(NamedTuple):
    """Where an engine is found."""

    module: str  # in this package
    distribution: str | None  # the name on PyPI of what must be installed
    digits: str | None  # the module that trains on digits, if there is one


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
    "ours": Engine("ours", None, "digits_ours"),
    "ours-mkl": Engine("ours_mkl", "mkl", None),
    "operations": Engine("operations", None, None),
    "reference": Engine("reference", None, "digits_reference"),
    "torch": Engine("torch_eager", "torch", "digits_torch"),
    "torch-compile": Engine("torch_compiled", "torch", None),
    "jax": Engine("jax_jit", "jax", None),
    "sklearn": Engine("", "scikit-learn", "digits_sklearn"),  # it has no nested step
}
ALIASES = {"numpy": "reference"}
STEPPING = tuple(name for name, engine in ENGINES.items() if engine.module)
DIGITS = tuple(name for name, engine in ENGINES.items() if engine.digits)


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
