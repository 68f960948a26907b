"""Each mutant against the suite: in processes of their own, since a mutant may hang or end its process.

A mutant is *killed* by the first case that it fails, or that it covers where the right port does not or the other way
round. It is *dead* if it cannot even be loaded or raises whatever it is asked: any suite would notice, so dead mutants
are counted apart. What is neither has *survived*.
"""

import contextlib
import multiprocessing
import random
import time
import warnings
from collections import deque
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nsn_ref.errors import PortError, SuiteError
from nsn_ref.golden import check, contracts, stages, suite
from nsn_ref.golden.mutants import planted, policies
from nsn_ref.golden.ports import PythonPort

TIME_LIMIT = 60.0  # seconds for one mutant in one format
START_LIMIT = 180.0  # and for a process to start: frameworks are slow to load


class Outcome(NamedTuple):
    """What became of a mutant in one format."""

    mutant: str
    dtype: str
    status: str  # "killed", "dead" or "survived"
    how: str = ""  # "value", "error", "coverage", "time limit" or "crash"
    case: str = ""  # the first that it failed
    lane: str = ""  # of that case; "staged" where only a stage, recomputed on the port's own tensors, was wrong
    detail: str = ""  # the tensor, what was raised, or for a survivor whether any case reached the mistake
    kills: tuple = ()  # with `full`, (case id, lane) of all that it failed
    caught: tuple = ()  # the fixed tolerances that would have caught it
    seconds: float = 0.0


class Task(NamedTuple):
    """What a process is asked."""

    set: str
    mutant: str
    dtype: str
    full: bool = False
    compared: bool = False  # with fixed tolerances too


def tasks(name, dtypes, *, sample=None, seed=0, full=False, compared=False):
    """The tasks of a set of mutants in these formats, as far as they apply; `sample` draws that many mutants."""
    _, mutants = planted.load(name)
    if sample is not None and sample < len(mutants):
        mutants = random.Random(seed).sample(mutants, sample)
    return [Task(name, m.id, dtype, full, compared) for m in mutants for dtype in dtypes if dtype in m.formats]


def survey(todo, folder, *, jobs=1, time_limit=TIME_LIMIT, usable=None):
    """Outcomes, in the order in which they come.

    Parameters
    ----------
    todo : sequence of Task
    folder : Path
        Of the suite.
    jobs : int
        Processes.
    time_limit : float
        Seconds for one task.
    usable : dict, optional
        By (fixed tolerance, dtype), ids of the cases that every right port passes under it: only these can catch a
        mutant, since the others reject everything. Default: those that the set's own right port passes.

    Yields
    ------
    Outcome

    Raises
    ------
    PortError
        The right port cannot be loaded.
    SuiteError
        A right port fails a case: what its mutants do then says nothing.
    """
    waiting = deque(todo)
    workers = [_Worker(folder, time_limit, usable) for _ in range(min(jobs, len(waiting)))]
    try:
        for worker in workers:
            worker.give(waiting)
        while busy := [worker for worker in workers if worker.task]:
            wait([worker.pipe for worker in busy], timeout=max(0.0, min(w.deadline for w in busy) - time.monotonic()))
            for worker in busy:
                outcome = worker.outcome()
                if outcome is not None:
                    yield outcome
                    worker.give(waiting)
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    """A process, and the task that it is at."""

    def __init__(self, folder, time_limit, usable):
        self.folder, self.time_limit, self.usable = folder, time_limit, usable
        self.task = self.process = None

    def give(self, waiting):
        """Start on the next task, if there is one."""
        self.task = waiting.popleft() if waiting else None
        if self.task is None:
            return
        self.deadline = time.monotonic() + self.time_limit
        if self.process is None:
            context = multiprocessing.get_context("spawn")
            self.pipe, other = context.Pipe()
            self.process = context.Process(target=_serve, args=(other, self.folder, self.usable), daemon=True)
            self.process.start()
            other.close()
            self.deadline += START_LIMIT
        with contextlib.suppress(OSError):  # a process that is gone is noticed when its outcome is asked for
            self.pipe.send(self.task)

    def outcome(self):
        """The outcome of the task, or None while it runs."""
        try:
            if self.pipe.poll():
                answer = self.pipe.recv()
                if isinstance(answer, Exception):
                    raise answer
                if not isinstance(answer, Outcome):  # the process is ready: its start does not count
                    self.deadline = time.monotonic() + self.time_limit
                    return None
                return answer
        except (EOFError, OSError):
            return self._ended("crash")
        return self._ended("time limit") if time.monotonic() > self.deadline else None

    def _ended(self, how):
        self.stop()
        return Outcome(self.task.mutant, self.task.dtype, "killed", how)

    def stop(self):
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.pipe.close()
            self.process = None


# --- in the process ---------------------------------------------------------------------------------------------------


class _Right(NamedTuple):
    """What mutants of one set are compared with, in one format."""

    mutants: dict  # Planted by id
    results: list  # CaseResult of the right port, in the order in which mutants are asked
    usable: dict  # ids of cases by fixed tolerance


def _serve(pipe, folder, usable):
    from threadpoolctl import threadpool_limits

    warnings.simplefilter("ignore")
    right = {}
    with threadpool_limits(1), np.errstate(all="ignore"), contextlib.suppress(EOFError):
        while True:
            task = pipe.recv()
            try:
                if (task.set, task.dtype) not in right:
                    right[task.set, task.dtype] = _right(task, folder, usable)
                    pipe.send("ready")
                pipe.send(_attempt(task, right[task.set, task.dtype]))
            except (PortError, SuiteError) as error:
                pipe.send(error)


def _right(task, folder, usable):
    make, mutants = planted.load(task.set)
    cases = [case for case in suite.load(Path(folder)) if case.dtype == task.dtype]
    results = check.check(PythonPort("right", make(task.dtype)), cases, staged=False).results
    failed = [r for r in results if r.status == "failed"]
    if failed and task.set != "mechanical":
        where = f"{len(failed)} cases, the first {failed[0].case.id}"
        raise SuiteError(f"golden mutants: the right port of the set {task.set} fails {where}")
    results = [r for r in results if r.status != "failed"]  # the frozen port knows no deeper nets, for one
    own = {name: {r.case.id for r in results if policies.accepts(name, r)} for name in policies.FIXED}
    return _Right(
        {m.id: m for m in mutants},
        _spread(results),
        {name: ids if usable is None else ids & usable[name, task.dtype] for name, ids in own.items()},
    )


def _spread(results):
    """One case of each operation, then a second of each, and so on; sessions, whose order matters, at the end."""
    seen, places = {}, {}
    for number, result in enumerate(results):
        op, alone = result.case.op, result.case.session is None
        seen[op] = seen.get(op, 0) + 1
        places[result.case.id] = result.status != "passed", not alone, seen[op] if alone else number
    return sorted(results, key=lambda r: places[r.case.id])


def _attempt(task, right):
    """Check one mutant."""
    start = time.perf_counter()
    mutant, first, lane, kills, alive = right.mutants[task.mutant], None, "", [], False
    nets, different = [], 0
    left = set(policies.FIXED) if task.compared else set()

    def outcome(status, how="", detail=""):
        where = (first.case.id, lane, detail) if first else ("", "", detail)
        caught = tuple(name for name in policies.FIXED if task.compared and name not in left)
        return Outcome(mutant.id, task.dtype, status, how, *where, tuple(kills), caught, time.perf_counter() - start)

    try:
        port = PythonPort(mutant.id, mutant.make(task.dtype))
    except (Exception, SystemExit) as error:
        left.clear()
        return outcome("dead", "error", type(error).__name__)
    answers = port.answers([r.case for r in right.results])
    for expected, (case, answer) in zip(right.results, answers, strict=False):
        result = check.judge(case, answer)
        alive = alive or (answer.covered and answer.error is None)
        changed = result.status != expected.status
        left -= {name for name in left if changed and result.answer is None}
        left -= {name for name in left if case.id in right.usable[name] and not policies.accepts(name, result)}
        if changed:
            first, lane = first or result, lane or case.lane
            kills += [(case.id, case.lane)] if task.full else []
        elif result.answer is not None and _differs(result, expected):
            different += 1
            if case.op in stages.NETS:
                nets.append(result)
        if first and alive and not left and not task.full:  # before it has answered once, it may still be dead
            break
    if first is not None:
        how = "error" if first.error else "value" if first.status == "failed" else "coverage"
        return outcome("killed" if alive else "dead", how, _detail(first))
    for first in nets:  # end to end nothing was wrong
        wrong = _wrong_stage(first)
        if wrong is not None and _wrong_stage(next(r for r in right.results if r.case is first.case)) is None:
            lane = "staged"
            return outcome("killed", "value", f"{wrong.name}, rho {wrong.rho:.3g}")
    first = None
    return outcome("survived", detail=f"differs from the right port in {different} cases")


def _differs(result, expected):
    """Whether an answer is another than the right port's: where it is not, neither are its stages."""
    own, other = result.answer, expected.answer
    return own.keys() != other.keys() or any(
        not np.array_equal(own[name], x, equal_nan=True) for name, x in other.items()
    )


def _wrong_stage(result):
    from nsn_ref.golden import local

    judged = local.judge(result.case, result.answer, contracts.default(result.case.dtype)).results
    return next((tensor for _, tensor in judged if not tensor.passed), None)


def _detail(result):
    if result.error:
        return result.error
    wrong = [t for t in result.tensors if not t.passed]
    return f"{wrong[0].name}, rho {wrong[0].rho:.3g}" if wrong else ""
