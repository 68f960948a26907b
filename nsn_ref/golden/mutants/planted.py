"""A mutant as the runner sees it, whichever set it is from."""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import numpy as np

from nsn_ref.errors import OptionError
from nsn_ref.golden import schema


class Planted(NamedTuple):
    """One mutant."""

    id: str
    family: str
    what: str  # the mistake, in a sentence or as the replacement of text
    formats: tuple  # where it is a mistake
    make: Callable  # format to a fresh port: an object with run(op, inputs, attrs)


def load(name):
    """The right port that a set is made from (a function from a format to a port), and its mutants.

    Parameters
    ----------
    name : str
        "hand", "mechanical", or ``module:function`` for a set of one's own: the function returns the same pair.

    Raises
    ------
    OptionError
    """
    if ":" in name:
        where, _, function = name.partition(":")
        return getattr(importlib.import_module(where), function)()
    if name not in _SETS:
        raise OptionError(f"golden mutants: unknown set {name!r}, expected one of {', '.join(_SETS)}")
    return _SETS[name]()


def module(text, name, **names):
    """A fresh module made from a text, in which some names are set before."""
    made = ModuleType(name)
    made.__dict__.update(names)
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


class Stored:
    """A copy of `victim` in one format, as a port: what it returns is stored as the schema says.

    Of a net it returns every stage, of a single operation only what it must: so a mistake has to show in a result.
    """

    def __init__(self, text, name, dtype):
        self._module, self._dtype = module(text, name, FORMAT=dtype), dtype

    def run(self, op, inputs, attrs):
        """Outputs of one operation."""
        operation = schema.operation(op)
        declared = operation.tensors("outputs", attrs)
        outputs = self._module.run(op, inputs, attrs)
        left_out = {name for name, t in declared.items() if t.optional and operation.layout is None}
        return {name: self._stored(x, declared.get(name)) for name, x in outputs.items() if name not in left_out}

    def _stored(self, x, tensor):
        return np.asarray(x).astype(schema.stored_as(tensor, self._dtype)) if tensor else x

    def open(self, attrs):
        """A session: calls on one object, which a right port answers as if they were not."""
        return self

    call = run


def _hand():
    from nsn_ref.golden.mutants import hand

    text = hand.victim_text()
    mutants = [
        Planted(m.id, m.family, m.what, m.formats, lambda dtype, m=m: Stored(m.apply(text), m.id, dtype))
        for m in hand.MUTANTS
    ]
    return (lambda dtype: Stored(text, "right", dtype)), mutants


_SETS = {"hand": _hand, "mechanical": _mechanical}
