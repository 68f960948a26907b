"""Options as plain Python: what JSON writes, and reads back as the same."""

import dataclasses

import numpy as np


def make_plain(options):
    """Replace NumPy numbers in the fields of a frozen dataclass by Python's, and lists and arrays by tuples."""
    for field in dataclasses.fields(options):
        object.__setattr__(options, field.name, plain(getattr(options, field.name)))


def plain(value):
    """The same value without NumPy's types and without lists."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return tuple(map(plain, value))
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return value
