"""Judging a port: every element of every output against its bound, and what was covered at all."""

from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np

from nsn_ref.errors import OptionError
from nsn_ref.golden import compare, contracts, stages
from nsn_ref.golden.declared import contract_of, is_bounded, rebound
from nsn_ref.golden.ports import is_array

NO_BOUND = "no bound under the port's contract"  # the status of a case that cannot be judged


class CaseResult(NamedTuple):
    """The outcome of one case."""

    case: object  # SuiteCase
    status: str  # "passed", "failed", "not covered" or `NO_BOUND`
    error: str | None = None  # why it could not even be compared
    tensors: tuple = ()  # TensorResult for each output compared
    local: tuple = ()  # of a net: (stage, TensorResult) of each output, recomputed on the port's own tensors
    undecided: tuple = ()  # of a net: local.Undecided, what its stages cannot judge
    answer: dict | None = None  # where it could be compared: what the port returned
    earlier: dict | None = None  # and its answers to earlier cases of the operation, by id

    def diagnoses(self):
        """A sentence for each wrong tensor whose pattern is known, by name; in a chain only for the first wrong one.

        The port is not called again: this is made from its answer, when a report asks for it.
        """
        from nsn_ref.golden.diagnosis import diagnose  # only failures need it

        wrong = [t.name for t in self.tensors if not t.passed]
        if not wrong or self.answer is None:  # a relation has several answers
            return {}
        return diagnose(self.case, self.answer, wrong[:1] if self.case.op in stages.NETS else wrong, self.earlier)

    @property
    def rho(self):
        """The worst of the case, stages included; NaN where nothing was compared."""
        return max((t.rho for t in (*self.tensors, *(t for _, t in self.local))), default=np.nan)

    @property
    def diverges(self):
        """The first stage of a net that is wrong by itself, and its TensorResult; None if there is none."""
        return next(((stage, t) for stage, t in self.local if not t.passed), None)


class Report(NamedTuple):
    """The outcome of a check."""

    port: str
    contracts: tuple  # Contract that the port was held to, for each format among the cases
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
    def looser(self):
        """The contracts that allow more than the default of their format."""
        return tuple(c for c in self.contracts if c.looser_than(contracts.default(c.name)))

    @property
    def exit_status(self):
        """0 or 1."""
        return 0 if self.passed else 1

    @property
    def undecided(self):
        """What the stages of nets cannot judge: local.Undecided of each."""
        return tuple(undecided for result in self.results for undecided in result.undecided)

    def grouped(self, key):
        """Results by an attribute of their case: "op", "lane" or "dtype"."""
        groups = {}
        for result in self.results:
            groups.setdefault(getattr(result.case, key), []).append(result)
        return groups


def select(cases, *, op="*", lane=None, dtype=None):
    """The cases whose operation matches a glob, in one lane, in one dtype; a session is chosen as a whole.

    Every case of a net is in the lane "staged" too.

    Raises
    ------
    OptionError
        None is left.
    """

    def asked_for(case):
        lanes = (None, case.lane, *(["staged"] if case.op in stages.NETS else []))
        return fnmatchcase(case.op, op) and lane in lanes and dtype in (None, case.dtype)

    sessions = {case.session for case in cases if case.session is not None and asked_for(case)}
    chosen = [case for case in cases if case.session in sessions or asked_for(case)]
    if not chosen:
        known = {
            "op": {c.op for c in cases},
            "lane": {c.lane for c in cases} | {"staged", "property"},
            "dtype": {c.dtype for c in cases},
        }
        options = {"op": op, "lane": lane, "dtype": dtype}
        asked = {key: value for key, value in options.items() if value not in ("*", None)}
        got = ", ".join(f"{key} {value}" for key, value in asked.items())
        there = "; ".join(f"{key}: {', '.join(sorted(known[key]))}" for key in asked)
        raise OptionError(f"golden check: no case has {got}. There is {there}")
    return chosen


def check(
    port,
    cases,
    *,
    require=(),
    stop_at_first=False,
    staged=None,
    stored=True,
    related=False,
    progress=lambda answers: answers,
):
    """Run a port on cases and judge what it returns.

    Parameters
    ----------
    port : PythonPort, IsolatedPort or ProgramPort
    cases : sequence of SuiteCase
    require : sequence of str
        Globs over operations and case ids: what they match must be covered. Empty: at least one case.
    stop_at_first : bool
        Stop at the first failure.
    staged : bool, optional
        Recompute each stage of a net on the port's own tensors too. Default: for every net that failed, and in formats
        shorter than float32, where the bounds of a whole chain are loose.
    stored : bool
        Compare with the outputs of the suite.
    related : bool
        Check relations between answers, and training on the port's own state (`derived`), which need none.
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
        A program that cannot be started, or a contract that does not exist.
    """
    required = _required(cases, require)
    held_to = {dtype: contract_of(port.contract, dtype) for dtype in dict.fromkeys(case.dtype for case in cases)}
    results, answered = [], {}
    for case, answer in progress(port.answers(cases)) if stored else ():
        earlier = answered.setdefault(case.op, {})
        results.append(judge(case, answer, earlier, contract=held_to[case.dtype]))
        earlier[case.id] = answer.outputs
        if stop_at_first and results[-1].status == "failed":
            break
    if staged is not False:
        results = _staged(results, held_to, everything=staged is True)
    selected = len(cases) if stored else 0
    if related and not (stop_at_first and any(r.status == "failed" for r in results)):
        from nsn_ref.golden import derived  # which imports this module

        more = derived.results(port, cases, held_to)
        results, selected = [*results, *more], selected + len(more)
    missing = tuple(r.case.id for r in results if r.status == "not covered" and r.case.id in required)
    return Report(port.name, tuple(held_to.values()), tuple(results), selected, missing, tuple(require))


def _required(cases, globs):
    ids = set()
    for glob in globs:
        matched = {c.id for c in cases if fnmatchcase(c.op, glob) or fnmatchcase(c.id, glob)}
        if not matched:
            raise OptionError(f"golden check: --require {glob} matches none of the {len(cases)} cases")
        ids |= matched
    return ids


def judge(case, answer, earlier=None, *, contract=None):
    """Compare one answer with the truth, end to end.

    Parameters
    ----------
    case : SuiteCase
    answer : Answer
    earlier : dict of str to dict, optional
        Answers to earlier cases by id, for the diagnosis.
    contract : Contract, optional
        Of the port. Default: that of the suite.

    Returns
    -------
    CaseResult
    """
    if not answer.covered:
        return CaseResult(case, "not covered")
    error = answer.error or form_error(case, answer.outputs)
    if error:
        return CaseResult(case, "failed", error)
    case = rebound(case, contract or contracts.default(case.dtype))
    tensors = tuple(
        compare.tensor(name, answer.outputs[name], output.expected, output.bound)
        for name, output in case.outputs.items()
        if name in answer.outputs  # an intermediate may be left out
    )
    right = all(t.passed for t in tensors)
    status = "failed" if not right else "passed" if is_bounded(case) else NO_BOUND
    return CaseResult(case, status, None, tensors, answer=answer.outputs, earlier=dict(earlier or {}))


def _staged(results, held_to, everything):
    """The results with the stages of nets judged too, on the port's own tensors."""

    def wanted(r):
        return everything or r.status != "passed" or r.case.dtype not in ("float64", "float32")

    nets = [k for k, r in enumerate(results) if r.case.op in stages.NETS and r.answer is not None and wanted(r)]
    if not nets:
        return results
    from nsn_ref.golden import local  # numbers with error bounds: only nets need them

    jobs = [(results[k].case, results[k].answer, held_to[results[k].case.dtype]) for k in nets]
    results = list(results)
    for k, judged in zip(nets, local.judge_all(jobs), strict=True):
        status = results[k].status
        if judged.results and status in ("passed", NO_BOUND):
            status = "passed" if all(t.passed for _, t in judged.results) else "failed"
        results[k] = results[k]._replace(local=judged.results, undecided=judged.undecided, status=status)
    return results


def form_error(case, outputs):
    """What is wrong with an answer before any number is looked at: a sentence or None."""
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
