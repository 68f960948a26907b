"""Cells run once, whatever fails or interrupts, and whatever number of processes runs them."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import toy_experiment

from nsn_ref.errors import CellError, ClusterError, FileError, OptionError
from nsn_ref.experiments.plan import plan
from nsn_ref.experiments.processes import cores, execute, executor
from nsn_ref.experiments.records import Store
from nsn_ref.experiments.runner import Failure, Job, complete, run_job

TESTS = Path(toy_experiment.__file__).parent


def results(records):
    return [(record["cell"]["options"], record["cell"]["seed"], record["result"]) for record in records]


def test_results_do_not_depend_on_the_number_of_workers(toy, tmp_path):
    tasks = plan(toy, "full")
    one, three = (complete(tasks, Store(tmp_path / str(n)), partial(execute, workers=n)) for n in (1, 3))
    assert results(one) == results(three)
    assert [(r["cell"]["options"], r["cell"]["seed"]) for r in one] == [(t.cell.options, t.cell.seed) for t in tasks]
    assert all("seconds" not in r["result"] and r["made"]["seconds"]["all"] > 1e9 for r in one)
    threads = [pool["num_threads"] for r in one + three for pool in r["made"]["environment"]["blas"]]
    assert set(threads) == {1}


def test_a_cell_runs_once(toy, tmp_path, begun):
    store, seen = Store(tmp_path / "records"), []
    first = complete(plan(toy), store, execute, progress=lambda *state: seen.append(state))
    assert begun() == 6 and seen == [(i, 6) for i in range(7)]
    again = complete(plan(toy, "full", seeds=2), store, execute, progress=lambda *state: seen.append(state))
    assert begun() == 8 and seen[7:] == [(6, 8), (7, 8), (8, 8)] and again[:6] == first
    tasks = plan(toy)
    assert complete(tasks + tasks, store, execute) == first + first


@pytest.mark.parametrize(("trouble", "message"), [("raise", "ValueError: as asked"), ("nan", "not what JSON can hold")])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_failing_cell_does_not_lose_the_others(toy, tmp_path, begun, trouble, message, workers):
    store = Store(tmp_path / "records")
    tasks = plan(toy, "smoke", options={trouble: True})[:1] + plan(toy)
    with pytest.raises(CellError, match=f"1 of 7 cells failed, .*toy, seed 0, .*{message}"):
        complete(tasks, store, partial(execute, workers=workers))
    assert begun() == 7
    assert len(complete(plan(toy), store, execute)) == 6 and begun() == 7


def test_a_process_that_ends_does_not_lose_the_others(toy, tmp_path, begun):
    store = Store(tmp_path / "records")
    tasks = plan(toy, "full", seeds=1, options={"exit": True}) + plan(toy, "full")
    with pytest.raises(CellError, match=r"4 of 16 cells failed, .*the process that ran it was killed"):
        complete(tasks, store, partial(execute, workers=2))
    assert begun() == 16
    assert len(complete(plan(toy, "full"), store, execute)) == 12 and begun() == 16


def test_an_altered_record_stops_all_before_any_cell_runs(toy, tmp_path, begun):
    store = Store(tmp_path / "records")
    complete(plan(toy, "smoke"), store, execute)
    path = store.path(plan(toy, "smoke")[1].cell)
    path.write_text(path.read_text().replace('"accuracy": 0.', '"accuracy": 0.1'))
    with pytest.raises(FileError, match=path.name):
        complete(plan(toy), store, execute)
    assert begun() == 2 and path.exists()
    path.unlink()
    complete(plan(toy), store, execute)
    assert begun() == 7  # the one that was removed, and the four that were missing


def test_a_job_without_a_folder_gives_its_record_to_the_caller(toy, tmp_path):
    task = plan(toy)[0]
    record = run_job(Job(task.cell, task.module, None), task.data)
    assert record["cell"] == task.cell._asdict() and not (tmp_path / "records").exists()
    store = Store(tmp_path / "records")
    kept = complete([task], store, lambda tasks, store: (r for r in [record]))
    assert kept == [record] == [store.read(task.cell)]


def test_other_code_is_refused(toy):
    task = plan(toy)[0]
    failure = run_job(Job(task.cell._replace(code="0.0.1+other"), task.module, None), task.data)
    assert isinstance(failure, Failure) and failure.error.startswith(ClusterError.__name__)
    assert "expected 0.0.1+other" in failure.error and not failure.details  # a typed error needs no traceback


def test_workers_are_counted(toy, tmp_path):
    assert executor().keywords == {"workers": cores()} and cores() >= 1
    with pytest.raises(OptionError, match="workers is 0"):
        executor(0)
    assert complete([], Store(tmp_path), partial(execute, workers=2)) == []


SCRIPT = """
import signal
import sys
from functools import partial
from nsn_ref.experiments import processes, registry
from nsn_ref.experiments.plan import plan
from nsn_ref.experiments.records import Store
from nsn_ref.experiments.runner import complete

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background process is born ignoring it
    registry.EXPERIMENTS["toy"] = "toy_experiment"
    tasks = plan("toy", "full", options={"pause": 0.8})
    complete(tasks, Store(sys.argv[1]), partial(processes.execute, workers=2))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interruption_loses_nothing_and_repeats_nothing(toy, tmp_path, begun, number):
    (tmp_path / "run.py").write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    command = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "records")]
    process = subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)
    records = tmp_path / "records" / "toy"
    deadline = time.monotonic() + 60
    while len(list(records.glob("*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.kill()  # the parent alone
    assert process.wait(60) != 0
    before = begun()
    assert 3 <= before < 12
    complete(plan(toy, "full", options={"pause": 0.8}), Store(tmp_path / "records"), partial(execute, workers=2))
    assert begun() == 12
