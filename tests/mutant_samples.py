"""A small set of mutants whose fate is known, loaded by name in the processes of the runner."""

import os
import time
from types import SimpleNamespace

from nsn_ref.golden.mutants.planted import Planted


def right_run(op, inputs, attrs):
    if op != "nested_linear_forward":
        raise NotImplementedError(op)
    x, A, B, b = (inputs[name] for name in ("x", "A", "B", "b"))
    r = attrs["rank"]
    return {"y": x @ A[:r].T @ B[:, :r].T + b}


def _rank_off_by_one(op, inputs, attrs):
    return right_run(op, inputs, attrs | {"rank": max(attrs.get("rank", 0) - 1, 1)})


def _nearly_right(op, inputs, attrs):
    return {name: y * (1 + y.dtype.type(1e-6)) for name, y in right_run(op, inputs, attrs).items()}


def _raises(op, inputs, attrs):
    raise ZeroDivisionError


def _covers_nothing(op, inputs, attrs):
    raise NotImplementedError


def _covers_too_much(op, inputs, attrs):
    return right_run(op, inputs, attrs) if op == "nested_linear_forward" else {}


def _hangs(op, inputs, attrs):
    while True:
        time.sleep(1)


def _ends(op, inputs, attrs):
    os._exit(7)


def _port(run):
    return lambda dtype: SimpleNamespace(run=run)


def _cannot_be_made(dtype):
    raise SyntaxError


RUNS = {
    "same": right_run,
    "rank-off-by-one": _rank_off_by_one,
    "nearly-right": _nearly_right,
    "raises": _raises,
    "covers-nothing": _covers_nothing,
    "covers-too-much": _covers_too_much,
    "hangs": _hangs,
    "ends": _ends,
}


def samples():
    """The set."""
    mutants = [Planted(key, "sample", key, ("float32",), _port(run)) for key, run in RUNS.items()]
    return _port(right_run), [*mutants, Planted("cannot-be-made", "sample", "", ("float32",), _cannot_be_made)]


def wrong():
    """A set whose right port is wrong."""
    return _port(_rank_off_by_one), samples()[1]
