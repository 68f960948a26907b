"""Engines in processes: what they answer, when they run, and that a wrong one is refused."""

import os
import time
from pathlib import Path

import pytest

from nsn_ref.bench.cells import Cell
from nsn_ref.bench.contest import contest, hire
from nsn_ref.bench.paired import take_turns, workers
from nsn_ref.bench.plan import Plan
from nsn_ref.bench.process import Worker
from nsn_ref.errors import NSNError

CELL = Cell((7, 5, 3), 4, (4, 1), 11, threads=1)
PLAN = Plan(("reference",), threads=1, quick=True, say=lambda text: None)

COUNTER = """
import os, sys, time
from nsn_ref.bench.engines import Steps

class Counter(Steps):
    def step(self, i):
        print("noise")
        if i == 40:
            sys.exit("enough")
        time.sleep(0.001)
        return [float(i), float(os.environ["OMP_NUM_THREADS"])]
    def read(self, result):
        return result

def make(task):
    if task == "bad":
        raise ValueError("no such task")
    return Counter()
"""
# the reference, but its weights do not decay
DOCTORED = """
from dataclasses import replace
from nsn_ref.bench.cells import Cell
from nsn_ref.bench.engines.reference import Operations

def make(task):
    return Operations(replace(Cell.from_json(task), weight_decay=0.0), "reference")
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function that writes a module which workers can import."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])]))

    def write(name, source):
        (tmp_path / f"{name}.py").write_text(source)
        return name

    return write


def test_a_worker_answers_one_line_whatever_the_engine_prints(module):
    with Worker("counter", module("counter", COUNTER), 3) as worker:
        worker.ask("make", task="good")
        assert worker.ask("read", steps=2)["found"] == [[0.0, 3.0], [1.0, 3.0]]
        assert 0.003 <= worker.ask("run", steps=3, warm=2)["seconds"] < 5
        assert worker.ask("read", steps=1)["found"][0][0] == 7.0


def test_an_engine_that_fails_is_named(module):
    with Worker("counter", module("counter", COUNTER), 1) as worker:
        with pytest.raises(NSNError, match="bench: counter: ValueError: no such task"):
            worker.ask("make", task="bad")
        worker.ask("make", task="good")
        with pytest.raises(NSNError, match=r"bench: counter: the process ended: (?s:.*)enough"):
            worker.ask("run", steps=41)
    with Worker("nobody", "no_such_module", 1) as worker, pytest.raises(NSNError, match="No module named"):
        worker.ask("make", task=None)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_a_worker_stands_still_between_questions(module):
    with Worker("counter", module("counter", COUNTER), 1) as worker:
        worker.ask("make", task="good")
        stat, deadline = Path(f"/proc/{worker._process.pid}/stat"), time.monotonic() + 10
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_turns_alternate_and_all_are_timed(module):
    modules = dict.fromkeys(("one", "two"), module("counter", COUNTER))
    with workers(modules, 1) as crew:
        asked = []
        for name, worker in crew.items():
            worker.ask = lambda do, name=name, ask=worker.ask, **q: asked.append((name, do)) or ask(do, **q)
        results = take_turns(crew, dict.fromkeys(crew, "good"), 2, 0.001)
    assert asked[-4:] == [("one", "run"), ("two", "run")] * 2
    assert all(len(r["ms"]) == 2 and all(1.0 <= ms < 1e3 for ms in r["ms"]) for r in results.values())


def test_our_engines_agree_and_a_doctored_one_is_refused(module):
    with hire(("ours", "operations", "reference"), PLAN) as crew:
        record = contest(CELL, crew, PLAN)
        assert list(record["engines"]) == ["ours", "operations", "reference"]
        for result in record["engines"].values():
            assert result["difference"] < 1e-5 and len(result["ms"]) == PLAN.rounds and result["first_seconds"] > 0
        doctored = Worker("doctored", module("doctored", DOCTORED), 1)
        with doctored, pytest.raises(NSNError, match=r"bench: doctored found .* at step [2-5], expected"):
            contest(CELL, crew | {"doctored": doctored}, PLAN)
