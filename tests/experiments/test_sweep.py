"""Sweeps: the grid of a file, what is refused before any cell runs, and the command."""

import json
import re
from functools import partial
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from nsn_ref.cli.sweep import sweep
from nsn_ref.errors import DataError, FileError, NSNError, OptionError
from nsn_ref.experiments.plan import plan
from nsn_ref.experiments.processes import execute
from nsn_ref.experiments.records import Store
from nsn_ref.experiments.runner import complete
from nsn_ref.experiments.sweep import json_lines, read_sweep

app = typer.Typer(rich_markup_mode="rich")
app.command()(sweep)


@pytest.fixture
def spec(toy, tmp_path):
    """A function: the path of a file with this content."""

    def spec(content):
        path = tmp_path / "sweep.toml"
        path.write_text(content)
        return path

    return spec


def run(*arguments):
    """Exit status and output; a typed error is raised, as `main` turns it into a message and status 2."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "120", "TERM": "dumb"})
    if isinstance(result.exception, NSNError):
        raise result.exception
    return result.exit_code, result.output


GRID = """
[[grid]]
experiment = "toy"
form = "smoke"
seeds = [3, 1]
data = ["wine", "iris"]
options.pause = [0.0, 0.001]

[[grid]]
experiment = ["toy"]
"""


def test_a_grid_is_the_product_of_its_lists(spec):
    cells = [(task.data.name, t["pause"], t["rank"], task.cell.seed)
             for task in read_sweep(spec(GRID)) for t in [task.cell.options]]  # fmt: skip
    grid = [(data, p, r, s) for data in ("wine", "iris") for p in (0.0, 0.001) for r in (1, 2) for s in (3, 1)]
    form = [("iris", 0.0, r, s) for r in (1, 2, 3) for s in (0, 1)]
    assert cells == grid + [cell for cell in form if cell not in grid]
    assert ("iris", 0.0, 1, 1) in grid and len(cells) == 16 + 4


def test_without_options_the_cells_are_those_of_the_experiment(spec):
    tasks = read_sweep(spec('[[grid]]\nexperiment = "toy"\nform = "full"'))
    assert [task.cell for task in tasks] == [task.cell for task in plan("toy", "full")]


def test_an_option_that_is_a_list_is_one_value(spec, monkeypatch):
    import dataclasses

    import toy_experiment

    def cells(form):
        return [{"rank": 1, "pause": 0.0, "widths": [3, 5]}]

    changed = dataclasses.replace(toy_experiment.EXPERIMENT, cells=cells)
    monkeypatch.setattr(toy_experiment, "EXPERIMENT", changed)
    for text, expected in [("[7, 2]", [[7, 2]]), ("[[7, 2], [3]]", [[7, 2], [3]])]:
        tasks = read_sweep(spec(f'[[grid]]\nexperiment = "toy"\nseeds = 1\noptions.widths = {text}'))
        assert [task.cell.options["widths"] for task in tasks] == expected


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("", OptionError, "sweep.toml: has nothing, expected one"),
        ("grid = 3", OptionError, "sweep.toml: has grid, expected one"),
        ("workers = 3\n[[grid]]\nexperiment = 'toy'", OptionError, "sweep.toml: has workers, grid"),
        ("[[grid]", FileError, "sweep.toml: is not TOML"),
        ("[[grid]]", OptionError, "grid 0: has no experiment"),
        ("[[grid]]\nexperiment = 'toys'", OptionError, "name is 'toys', expected one of"),
        ("[[grid]]\nexperiment = ['toy', 'toy']", OptionError, "grid 0: experiment is "),
        ("[[grid]]\nexperiment = []", OptionError, "grid 0: experiment is "),
        ("[[grid]]\nexperiment = 'toy'\ndata = [['iris']]", OptionError, "grid 0: data is "),
        ("[[grid]]\nexperiment = 'toy'\nseed = 3", OptionError, "grid 0: key is 'seed', expected one of 'experiment'"),
        ("[[grid]]\nexperiment = 'toy'\nform = 'tiny'", OptionError, "grid 0: form is 'tiny'"),
        ("[[grid]]\nexperiment = 'toy'\nseeds = 0", OptionError, "toy: seeds is 0"),
        ("[[grid]]\nexperiment = 'toy'\ndata = 'mnist'", DataError, "data is 'mnist'"),
        ("[[grid]]\nexperiment = 'toy'\noptions = 3", OptionError, "grid 0: options is 3"),
        ("[[grid]]\nexperiment = 'toy'\noptions.ranks = [1]", OptionError, "toy: option is 'ranks', expected one of"),
        ("[[grid]]\nexperiment = 'toy'\noptions.rank = [1, 'x']", OptionError, "toy: rank is 'x', expected a value as"),
        ("[[grid]]\nexperiment = 'toy'\noptions.rank = []", OptionError, r"toy: rank is \[\]"),
    ],
)  # fmt: skip
def test_refusals_come_before_any_cell(spec, begun, content, error, message):
    grid = "[[grid]]\nexperiment = 'toy'\n"
    for text in (content, grid + content if content.startswith("[[grid]]") else content):  # a good grid goes first
        with pytest.raises(error, match=message.replace("grid 0", "grid .")):
            run(spec(text), "--workers", 1)
    assert begun() == 0


def test_an_altered_record_is_refused_before_any_cell(spec, begun, tmp_path):
    path, records = spec('[[grid]]\nexperiment = "toy"\nform = "smoke"'), tmp_path / "records"
    assert run(path, "--records", records, "--workers", 1)[0] == 0 and begun() == 2
    first = next((records / "toy").glob("*.json"))
    first.write_text(first.read_text().replace('"seed": 0', '"seed": 1'))
    path = spec('[[grid]]\nexperiment = "toy"')
    for options in ((), ("--dry-run",)):
        with pytest.raises(FileError, match=first.name):
            run(path, "--records", records, *options)
    assert begun() == 2


def test_the_command(spec, begun, tmp_path):
    path, records, out = spec(GRID), tmp_path / "records", tmp_path / "all.jsonl"
    status, output = run(path, "--records", records, "--dry-run")
    assert status == 0 and "20 cells, 20 to run" in output and begun() == 0
    complete(read_sweep(path)[:9], Store(records), execute)
    status, output = run(path, "--records", records, "--dry-run")
    rows = [line.replace("│", " ").split() for line in output.splitlines()]
    assert ["toy", "wine", "8", "8", "0"] in rows and ["toy", "iris", "12", "1", "11"] in rows
    status, output = run(path, "--records", records, "--workers", 2, "--out", out)
    assert status == 0 and f"20 cells are recorded in {records}" in output and begun() == 20
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(line["data"], line["options"], line["seed"]) for line in lines] == [
        (task.data.name, task.cell.options, task.cell.seed) for task in read_sweep(path)
    ]
    assert run(path, "--records", records, "--workers", 1)[0] == 0 and begun() == 20


def test_lines_are_the_same_whatever_the_number_of_workers(spec, tmp_path):
    tasks, texts = read_sweep(spec(GRID)), []
    for workers in (1, 3):
        records = complete(tasks, Store(tmp_path / str(workers)), partial(execute, workers=workers))
        texts.append([json.loads(line)["result"] for line in json_lines(tasks, records).splitlines()])
    assert texts[0] == texts[1]


def test_options_of_the_command(spec, tmp_path):
    path = spec(GRID)
    with pytest.raises(OptionError, match="got --workers 2 with --scheduler"):
        run(path, "--workers", 2, "--scheduler", "tcp://127.0.0.1:9")
    with pytest.raises(FileError, match="expected a file in a folder that exists"):
        run(path, "--out", tmp_path / "nowhere" / "all.jsonl")
    with pytest.raises(FileError, match="cannot be read"):
        run(tmp_path / "nowhere.toml")
    status, output = run("--help")
    assert status == 0 and "Example: nsn-ref sweep" in output


def test_without_dask_the_extra_is_named(spec, monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(OptionError, match=r"extra 'cluster': python -m pip install"):
        run(spec(GRID), "--scheduler", "tcp://127.0.0.1:9", "--records", tmp_path / "records")


def test_the_sweep_of_the_documentation_is_one(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text()
    (block,) = re.findall(r"^```toml\n(.*?)^```", page, re.M | re.S)
    (tmp_path / "sweep.toml").write_text(block)
    tasks = read_sweep(tmp_path / "sweep.toml")
    assert {task.cell.experiment for task in tasks} == {"truncation", "specialists-vs-nsn", "weighting"}
    assert {task.cell.options["R"] for task in tasks if task.cell.experiment == "weighting"} == {32, 64}
