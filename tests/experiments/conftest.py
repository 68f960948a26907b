"""The toy experiment, registered for a test."""

import pytest

pytest.importorskip("sklearn")

from nsn_ref.experiments.registry import EXPERIMENTS


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """Its name; runs are logged to the file `log` of the test's folder."""
    import toy_experiment

    monkeypatch.setitem(EXPERIMENTS, "toy", "toy_experiment")
    monkeypatch.setenv(toy_experiment.LOG, str(tmp_path / "log"))
    return "toy"


@pytest.fixture
def begun(tmp_path):
    """A function: how many cells have begun so far."""
    log = tmp_path / "log"
    return lambda: sum(line.startswith("begin") for line in log.read_text().splitlines()) if log.exists() else 0
