"""A mutant as the runner sees it, whichever set it is from."""

from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

SETS = ("hand", "mechanical")


class Planted(NamedTuple):
    """One mutant."""

    id: str
    family: str
    what: str  # the mistake, in a sentence or as the replacement of text
    formats: tuple  # where it is a mistake
    make: Callable  # format to a fresh port: an object with run(op, inputs, attrs)


def load(name):
    """The right port that a set is made from (a callable that makes it), and its mutants.

    Raises
    ------
    OptionError
    """
    from nsn_ref.errors import OptionError

    if name == "mechanical":
        return _mechanical()
    raise OptionError(f"golden mutants: unknown set {name!r}, expected one of {', '.join(SETS)}")


def module(text, name):
    """A fresh module made from a text."""
    made = ModuleType(name)
    exec(compile(text, f"<{name}>", "exec"), made.__dict__)
    return made


def _mechanical():
    from nsn_ref.golden.mutants import mechanical

    text = mechanical.base()
    mutants = [
        Planted(
            m.id,
            m.kind,
            f"line {m.line}: {m.old!r} -> {m.new!r}",
            ("float64", "float32"),
            lambda dtype, m=m: module(m.apply(text), m.id),
        )
        for m in mechanical.committed()
    ]
    return (lambda dtype: module(text, "base")), mutants
