"""Judging a port: every element of every output against its bound, and what was covered at all."""

from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np

from nsn_ref.errors import OptionError
from nsn_ref.golden.ports import is_array


class TensorResult(NamedTuple):
    """The worst element of one output."""

    name: str
    passed: bool
    rho: float  # error / bound; 0 where both are 0, infinite where only the bound is or the output is not a number
    index: tuple
    got: float
    expected: float
    bound: float


class CaseResult(NamedTuple):
    """The outcome of one case."""

    case: object  # SuiteCase
    status: str  # "passed", "failed" or "not covered"
    error: str | None = None  # why it could not even be compared
    tensors: tuple = ()  # TensorResult for each output compared
    answer: dict | None = None  # of a failed case that could be compared: what the port returned
    earlier: dict | None = None  # and its answers to earlier cases of the operation, by id

    def diagnoses(self):
        """A sentence for each wrong tensor whose pattern is known, by name; in a chain only for the first wrong one.

        The port is not called again: this is made from its answer, when a report asks for it.
        """
        from nsn_ref.golden.diagnosis import diagnose  # only failures need it
        from nsn_ref.golden.evaluate.nets import NETS

        wrong = [t.name for t in self.tensors if not t.passed]
        if not wrong:
            return {}
        return diagnose(self.case, self.answer, wrong[:1] if self.case.op in NETS else wrong, self.earlier)

    @property
    def rho(self):
        """The worst of the case; NaN where nothing was compared."""
        return max((t.rho for t in self.tensors), default=np.nan)


class Report(NamedTuple):
    """The outcome of a check."""

    port: str
    contract: dict | None
    results: tuple  # CaseResult
    selected: int  # cases that were to be run; more than the results after an early stop
    missing: tuple  # ids of required cases that are not covered
    required: tuple  # the globs

    def count(self, status):
        """How many cases have that status."""
        return sum(result.status == status for result in self.results)

    @property
    def covered(self):
        """How many cases the port implements."""
        return self.count("passed") + self.count("failed")

    @property
    def passed(self):
        """Whether every case that was run passed and everything required was covered."""
        return not self.count("failed") and not self.missing and self.covered > 0

    @property
    def exit_status(self):
        """0 or 1."""
        return 0 if self.passed else 1

    def operations(self):
        """Results by operation."""
        by_op = {}
        for result in self.results:
            by_op.setdefault(result.case.op, []).append(result)
        return by_op


def select(cases, *, op="*", lane=None, dtype=None):
    """The cases whose operation matches a glob, in one lane, in one dtype.

    Raises
    ------
    OptionError
        None is left.
    """
    chosen = [
        case for case in cases if fnmatchcase(case.op, op) and lane in (None, case.lane) and dtype in (None, case.dtype)
    ]
    if not chosen:
        known = {"op": {c.op for c in cases}, "lane": {c.lane for c in cases}, "dtype": {c.dtype for c in cases}}
        asked = {"op": op, "lane": lane, "dtype": dtype}
        there = "; ".join(f"{key}: {', '.join(sorted(names))}" for key, names in known.items())
        got = ", ".join(f"{key} {value}" for key, value in asked.items() if value is not None)
        raise OptionError(f"golden check: no case has {got}. There is {there}")
    return chosen


def check(port, cases, *, require=(), stop_at_first=False, progress=lambda answers: answers):
    """Run a port on cases and judge what it returns.

    Parameters
    ----------
    port : PythonPort, IsolatedPort or ProgramPort
    cases : sequence of SuiteCase
    require : sequence of str
        Globs over operations and case ids: what they match must be covered. Empty: at least one case.
    stop_at_first : bool
        Stop at the first failure.
    progress : callable
        Wraps the iterable of answers.

    Returns
    -------
    Report

    Raises
    ------
    OptionError
        A glob matches nothing.
    PortError
        A program that cannot be started.
    """
    required = _required(cases, require)
    results, answered = [], {}
    for case, answer in progress(port.answers(cases)):
        earlier = answered.setdefault(case.op, {})
        results.append(judge(case, answer, earlier))
        earlier[case.id] = answer.outputs
        if stop_at_first and results[-1].status == "failed":
            break
    missing = tuple(r.case.id for r in results if r.status == "not covered" and r.case.id in required)
    return Report(port.name, port.contract, tuple(results), len(cases), missing, tuple(require))


def _required(cases, globs):
    ids = set()
    for glob in globs:
        matched = {c.id for c in cases if fnmatchcase(c.op, glob) or fnmatchcase(c.id, glob)}
        if not matched:
            raise OptionError(f"golden check: --require {glob} matches none of the {len(cases)} cases")
        ids |= matched
    return ids


def judge(case, answer, earlier=None):
    """Compare one answer with the truth; `earlier` holds earlier ones by case id, for the diagnosis."""
    if not answer.covered:
        return CaseResult(case, "not covered")
    error = answer.error or _form_error(case, answer.outputs)
    if error:
        return CaseResult(case, "failed", error)
    results = tuple(
        _compare(name, answer.outputs[name], output)
        for name, output in case.outputs.items()
        if name in answer.outputs  # an intermediate may be left out
    )
    if all(t.passed for t in results):
        return CaseResult(case, "passed", None, results)
    return CaseResult(case, "failed", None, results, answer.outputs, dict(earlier or {}))


def _form_error(case, outputs):
    """What is wrong with the answer before any number is looked at, or None."""
    if not isinstance(outputs, dict):
        return f"the port returned a {type(outputs).__name__}, expected a dict of arrays"
    if undeclared := [name for name in outputs if name not in case.outputs]:
        return f"undeclared tensor {undeclared[0]!r}, expected only {', '.join(case.outputs)}"
    for name, want in case.outputs.items():
        if name not in outputs:
            if want.optional:
                continue
            return f"{name} is missing"
        got = outputs[name]
        if not is_array(got):
            return f"{name} is a {type(got).__name__}, expected a numpy array"
        if got.dtype.name != want.dtype:
            return f"{name} has dtype {got.dtype}, expected {want.dtype}"
        if got.shape != want.expected.shape:
            return f"{name} has shape {got.shape}, expected {want.expected.shape}"
    return None


def _compare(name, got, output):
    got = np.asarray(got, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        error = np.abs(got - output.expected)
        passed = error <= output.bound  # False for NaN
        rho = np.where(passed & (output.bound == 0), 0.0, error / output.bound)
    rho = np.where(np.isnan(rho), np.inf, rho)
    worst = np.unravel_index(np.argmax(rho), rho.shape)
    at = (float(array[worst]) for array in (got, output.expected, output.bound))
    return TensorResult(name, bool(passed.all()), float(rho[worst]), tuple(map(int, worst)), *at)
