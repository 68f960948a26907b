"""How often right ports are rejected: by the derived bounds, and by fixed tolerances on the same cases."""

import importlib.util
from typing import NamedTuple

from nsn_ref.golden import check
from nsn_ref.golden.locate import golden_dir
from nsn_ref.golden.mutants import planted, policies
from nsn_ref.golden.ports import PythonPort, load

OWN = {"reference": "nsn_ref.golden.own_ports:reference", "engine": "nsn_ref.golden.own_ports:engine"}
EXAMPLES = {"numpy": "numpy", "torch": "torch", "jax": "jax"}  # golden/ports/NAME_port.py: what it needs


class Alarms(NamedTuple):
    """What right ports made of the cases of one format."""

    dtype: str
    ports: tuple  # names
    pairs: int  # of a port and a case that it covers
    rejected: dict  # of these, by policy
    usable: dict  # by fixed tolerance, ids of the cases that all of them pass
    first: tuple  # (port, case id) of pairs that the derived bounds reject


def right_ports():
    """Every right port that can be run here: name to a function from a format to a port."""
    victim, _ = planted.load("hand")
    found = {name: lambda dtype, spec=spec: load(spec) for name, spec in OWN.items()}
    found["NumPy, of the mutants"] = lambda dtype: PythonPort("victim", victim(dtype))
    for name, needs in EXAMPLES.items():
        path = golden_dir() / "ports" / f"{name}_port.py"
        if importlib.util.find_spec(needs) and path.is_file():
            found[f"{name}_port.py"] = lambda dtype, path=path: load(str(path))
    return found


def count(cases, progress=lambda items: items):
    """Run every right port on every case, and compare end to end (as fixed tolerances can).

    Parameters
    ----------
    cases : sequence of SuiteCase
    progress : callable
        Wraps the iterable of (format, port).

    Returns
    -------
    list of Alarms
        One for each format.
    """
    by_format, ports = {}, right_ports()
    for case in cases:
        by_format.setdefault(case.dtype, []).append(case)
    made = {}
    for dtype, name in progress([(dtype, name) for dtype in by_format for name in ports]):
        results = check.check(ports[name](dtype), by_format[dtype], staged=False).results
        made.setdefault(dtype, {})[name] = [r for r in results if r.status != "not covered"]
    return [_alarms(dtype, by_port, by_format[dtype]) for dtype, by_port in made.items()]


def _alarms(dtype, by_port, cases):
    wrong = {policies.DERIVED: [(name, r.case.id) for name, rs in by_port.items() for r in rs if r.status == "failed"]}
    for policy in policies.FIXED:
        wrong[policy] = [(n, r.case.id) for n, rs in by_port.items() for r in rs if not policies.accepts(policy, r)]
    return Alarms(
        dtype,
        tuple(by_port),
        sum(map(len, by_port.values())),
        {policy: len(pairs) for policy, pairs in wrong.items()},
        {policy: {c.id for c in cases} - {case for _, case in wrong[policy]} for policy in policies.FIXED},
        tuple(wrong[policies.DERIVED]),
    )
