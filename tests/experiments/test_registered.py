"""Every registered experiment follows the protocol, and its smoke form runs from the first cell to the page."""

import json
import re

import pytest

from nsn_ref.experiments import code_version
from nsn_ref.experiments.experiment import FORMS
from nsn_ref.experiments.plan import plan
from nsn_ref.experiments.processes import execute
from nsn_ref.experiments.records import Store
from nsn_ref.experiments.registry import EXPERIMENTS, experiment
from nsn_ref.experiments.report import write_results
from nsn_ref.experiments.runner import Job, complete, run_job


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_protocol(name):
    chosen = experiment(name)
    assert chosen.name == name and re.fullmatch("[a-z]+(-[a-z]+)*", name)
    assert chosen.title and chosen.summary and chosen.source and "\n" not in chosen.title + chosen.summary
    assert set(chosen.seeds) == set(FORMS) and chosen.seeds["quick"] <= chosen.seeds["full"]
    for form in FORMS:
        cells = chosen.cells(form)
        assert cells and json.loads(json.dumps(cells)) == cells
        assert all(cell not in cells[:i] for i, cell in enumerate(cells))
    reached = code_version.reached(chosen.run.__module__)
    assert not {"nsn_ref.experiments.report", "nsn_ref.analysis.plots"} & reached.keys()  # pages are apart


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_smoke(name, tmp_path):
    tasks = plan(name, "smoke")
    records = complete(tasks, Store(tmp_path / "records"), execute)
    first = tasks[0]
    again = run_job(Job(first.cell, first.module, None), first.data)
    assert again["result"] == records[0]["result"]
    facts = {"experiment": name, "command": f"nsn-ref experiment {name} --smoke", "data": experiment(name).data}
    written = {path.name for path in write_results(tmp_path / "out", facts, records)}
    text = (tmp_path / "out" / f"{name}.md").read_text()
    shown = set(re.findall(r"!\[[^]]+\]\(([^)]+)\)", text))
    assert written == {f"{name}.jsonl", f"{name}.md"} | shown and all(figure.startswith(name) for figure in shown)
    assert "## What it means" in text
    assert "nan" not in text.lower().split() and not re.search(r"\{\w*\}", text)
