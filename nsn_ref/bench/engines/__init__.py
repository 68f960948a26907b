"""The engines, one file each. A file has ``make(task)``, which returns a `Steps`; a framework is imported inside it."""

import importlib.util
from typing import NamedTuple

from nsn_ref import checks


class Engine(NamedTuple):
    """Where an engine is found."""

    module: str  # in this package
    needs: str | None  # the module that must be installed
    distribution: str | None  # its name on PyPI, which knows the version
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
    "ours": Engine("ours", None, None, "digits_ours"),
    "operations": Engine("operations", None, None, None),
    "reference": Engine("reference", None, None, "digits_reference"),
    "torch": Engine("torch_eager", "torch", "torch", "digits_torch"),
    "torch-compile": Engine("torch_compiled", "torch", "torch", None),
    "jax": Engine("jax_jit", "jax", "jax", None),
    "sklearn": Engine("", "sklearn", "scikit-learn", "digits_sklearn"),  # it has no nested step
}
STEPPING = tuple(name for name, engine in ENGINES.items() if engine.module)
DIGITS = tuple(name for name, engine in ENGINES.items() if engine.digits)


def check(function, names):
    """Check names of engines.

    Raises
    ------
    OptionError
    """
    for name in names:
        checks.choice(function, "--against", name, tuple(ENGINES))


def installed(name):
    """Whether an engine can be used here."""
    needs = ENGINES[name].needs
    return needs is None or importlib.util.find_spec(needs) is not None


def path(module):
    """Full name of a module of this package."""
    return f"{__name__}.{module}"
