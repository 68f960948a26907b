"""A sweep on a real cluster: a scheduler and two workers in processes of their own, killed while they work."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import toy_experiment

pytest.importorskip("distributed")

from nsn_ref.errors import ClusterError
from nsn_ref.experiments import processes
from nsn_ref.experiments.cluster import connected
from nsn_ref.experiments.records import MARK, Store
from nsn_ref.experiments.runner import complete
from nsn_ref.experiments.sweep import read_sweep

TESTS = Path(toy_experiment.__file__).parent
SPEC = """
[[grid]]
experiment = "toy"
form = "full"
seeds = 5
options.pause = 0.3
"""
CELLS = 20
CLIENT = """
import sys
from nsn_ref.cli import main
from nsn_ref.experiments.registry import EXPERIMENTS

EXPERIMENTS["toy"] = "toy_experiment"
if __name__ == "__main__":
    main()
"""


class Cluster:
    """Processes, all of which end with the test."""

    def __init__(self, folder, log):
        self.folder, self._processes = folder, []
        self._environment = os.environ | {"PYTHONPATH": str(TESTS), toy_experiment.LOG: str(log)}
        (folder / "client.py").write_text(CLIENT)
        (folder / "sweep.toml").write_text(SPEC)
        facts = folder / "scheduler.json"
        self.start("distributed.cli.dask_scheduler", "--port", 0, "--no-dashboard", "--scheduler-file", facts)
        self.wait(lambda: facts.exists() and facts.read_text().strip().endswith("}"))
        self.address = json.loads(facts.read_text())["address"]

    def start(self, *arguments, cwd=None, **environment):
        command = [sys.executable, "-m", *map(str, arguments)]
        return self._started(command, cwd, environment)

    def worker(self, **options):
        arguments = ["--nthreads", 1, "--no-nanny", "--no-dashboard", "--local-directory", self.folder / "scratch"]
        return self.start("distributed.cli.dask_worker", self.address, *arguments, **options)

    def sweep(self, *options):
        spec, records = self.folder / "sweep.toml", self.folder / "records"
        command = [sys.executable, self.folder / "client.py", "sweep", spec, "--scheduler", self.address]
        return self._started([*map(str, command), "--records", str(records), *map(str, options)], None, {})

    def wait(self, ready, seconds=60):
        deadline = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.02)

    def recorded(self):
        return len(list((self.folder / "records" / "toy").glob("*.json")))

    def output(self):
        return (self.folder / "output").read_text()

    def close(self):
        for process in reversed(self._processes):
            process.kill()
            process.wait()

    def _started(self, command, cwd, environment):
        with (self.folder / "output").open("a") as file:
            environment = self._environment | environment
            process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=file, stderr=file)
        self._processes.append(process)
        return process


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path, tmp_path / "log")
    try:
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def here(toy, cluster, tmp_path, monkeypatch):
    """A function: the results of the same sweep on this machine, without a cluster."""

    def here():
        monkeypatch.delenv(toy_experiment.LOG)
        tasks = read_sweep(cluster.folder / "sweep.toml")
        return results(complete(tasks, Store(tmp_path / "here"), partial(processes.execute, workers=2)))

    return here


def results(records):
    return [(record["cell"], record["result"]) for record in records]


def recorded(cluster):
    """The results that the cluster's sweep recorded; every cell must be there."""
    store = Store(cluster.folder / "records")
    return results([store.read(task.cell) for task in read_sweep(cluster.folder / "sweep.toml")])


def lines(cluster, what):
    return [line.split()[1:3] for line in (cluster.folder / "log").read_text().splitlines() if line.startswith(what)]


@pytest.mark.slow
def test_a_worker_is_killed(cluster, here):
    first, _ = cluster.worker(), cluster.worker()
    client = cluster.sweep()
    cluster.wait(lambda: cluster.recorded() >= 4)
    first.send_signal(signal.SIGKILL)
    assert client.wait(90) == 0, cluster.output()
    begun, ended = lines(cluster, "begin"), lines(cluster, "end")
    assert len(ended) == CELLS  # none finished twice
    assert len(begun) <= CELLS + 1  # what the killed one was at
    assert recorded(cluster) == here()


@pytest.mark.slow
def test_the_client_is_killed_and_started_again(cluster, here):
    for _ in range(2):
        cluster.worker()
    client = cluster.sweep()
    cluster.wait(lambda: cluster.recorded() >= 4)
    client.send_signal(signal.SIGKILL)
    client.wait()
    again = cluster.sweep("--out", cluster.folder / "all.jsonl")
    assert again.wait(90) == 0, cluster.output()
    begun = lines(cluster, "begin")
    assert len(begun) == len(lines(cluster, "end")) == CELLS  # nothing lost, nothing repeated, not even begun twice
    assert recorded(cluster) == here()
    assert len((cluster.folder / "all.jsonl").read_text().splitlines()) == CELLS
    assert cluster.sweep().wait(60) == 0 and lines(cluster, "begin") == begun


@pytest.mark.slow
def test_workers_that_do_not_see_the_folder(cluster, here, tmp_path):
    """The folder of the records is there under its path, but it is another one."""
    cluster.worker()
    (tmp_path / "records").mkdir()
    client = cluster.sweep()
    cluster.wait(lambda: (tmp_path / "records" / MARK).exists())
    (tmp_path / "records" / MARK).write_text('{"folder": "another"}\n')
    assert client.wait(90) == 0, cluster.output()
    assert recorded(cluster) == here() and not list(tmp_path.glob("records/toy/*.lock"))


@pytest.mark.slow
def test_the_scheduler_is_killed(cluster):
    cluster.worker()
    client = cluster.sweep()
    cluster.wait(lambda: cluster.recorded() >= 2)
    cluster._processes[0].kill()
    assert client.wait(90) == 2, cluster.output()
    assert "the scheduler is lost" in cluster.output()


@pytest.mark.slow
def test_a_worker_with_other_code_is_refused_before_anything_runs(cluster, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    source = Path(toy_experiment.__file__).read_text()
    (other / "toy_experiment.py").write_text(source.replace("time.sleep(", "time.sleep(2 * "))
    cluster.worker(PYTHONPATH=str(other))
    client = cluster.sweep()
    assert client.wait(90) == 2 and "install the same everywhere" in cluster.output(), cluster.output()
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "tcp://nowhere.invalid:8786", "nonsense://x"])
def test_a_scheduler_that_does_not_answer(address):
    began = time.monotonic()
    with pytest.raises(ClusterError, match=f"{address}: no scheduler answers"), connected(address, patience=1):
        pass
    assert time.monotonic() - began < 20
