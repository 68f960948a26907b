"""`nsn-ref experiment` and `nsn-ref report` on the toy."""

import pytest
import typer
from typer.testing import CliRunner

from nsn_ref.cli import experiment, register
from nsn_ref.errors import CellError, DataError, FileError, NSNError, OptionError


@pytest.fixture
def run(toy, tmp_path, monkeypatch):
    """A function: exit status and output; a typed error is raised, as `main` turns it into a message and status 2."""
    app = typer.Typer(rich_markup_mode="rich")
    register.commands(app)
    group = typer.Typer()
    group.callback(invoke_without_command=True)(experiment.group)
    group.command(name=toy)(experiment.command(toy))
    group.command(name="all")(experiment.every)
    app.registered_groups = [each for each in app.registered_groups if each.name != "experiment"]
    app.add_typer(group, name="experiment")
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "120", "TERM": "dumb"})
        if isinstance(result.exception, NSNError):
            raise result.exception
        return result.exit_code, result.output

    return run


def test_an_experiment_and_its_report(run, begun, tmp_path):
    status, output = run("experiment", "toy", "--smoke", "--seeds", 2, "--data", "wine", "--workers", 1)
    assert status == 0 and "wrote runs/results/toy.md" in output and begun() == 4
    page = (tmp_path / "runs" / "results" / "toy.md").read_text()
    assert "    nsn-ref experiment toy --smoke --seeds 2 --data wine\n" in page
    status, output = run("experiment", "toy", "--smoke", "--seeds", 2, "--data", "wine", "--out", "elsewhere")
    assert status == 0 and begun() == 4 and (tmp_path / "elsewhere" / "toy.png").exists()
    status, output = run("report")
    assert status == 0 and "wrote runs/results/experiments.md" in output
    assert (tmp_path / "runs" / "results" / "toy.md").read_text() == page


def test_the_default_form_is_the_quick_one(run, begun):
    assert run("experiment", "toy", "--workers", 1)[0] == 0 and begun() == 6
    assert run("experiment", "toy", "--quick", "--workers", 2)[0] == 0 and begun() == 6
    assert run("experiment", "toy", "--full", "--workers", 2)[0] == 0 and begun() == 12


def test_all(run, begun, toy, monkeypatch, tmp_path):
    """Pages are those of the commands of their own."""
    monkeypatch.setattr(experiment, "EXPERIMENTS", [toy, "containment"])
    status, output = run("experiment", "all", "--smoke", "--workers", 2, "--out", "all")
    assert status == 0 and "wrote all/toy.md" in output and "wrote all/containment.md" in output and begun() == 2
    assert run("experiment", "toy", "--smoke")[0] == 0 and begun() == 2
    for page in ("toy.md", "toy.jsonl"):
        assert (tmp_path / "all" / page).read_bytes() == (tmp_path / "runs" / "results" / page).read_bytes()
    with pytest.raises(OptionError, match="all: got --quick and --full, expected one of them"):
        run("experiment", "all", "--quick", "--full")


def test_list(run):
    status, output = run("experiment", "--list")
    assert status == 0 and "Nearest class means" in output and "digits" in output


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (("--smoke", "--full"), OptionError, "got --smoke and --full, expected one of them"),
        (("--seeds", 0), OptionError, "seeds is 0"),
        (("--data", "mnist"), DataError, "data is 'mnist'"),
        (("--data", "nowhere.csv"), FileError, "nowhere.csv"),
        (("--workers", 0), OptionError, "workers is 0"),
    ],
)
def test_refusals(run, begun, options, error, message):
    with pytest.raises(error, match=message):
        run("experiment", "toy", *options)
    assert begun() == 0


def test_a_folder_that_cannot_be_made_is_refused_first(run, begun, tmp_path):
    (tmp_path / "file").write_text("")
    for option in ("--out", "--records"):
        with pytest.raises(FileError, match="cannot be made"):
            run("experiment", "toy", option, "file")
    assert begun() == 0


def test_no_page_without_all_cells(run, monkeypatch, tmp_path):
    import toy_experiment

    monkeypatch.setattr(toy_experiment, "split", lambda data, seed: 1 / 0)
    with pytest.raises(CellError, match="4 of 4 cells failed"):
        run("experiment", "toy", "--smoke", "--seeds", 2, "--workers", 1)
    assert not list((tmp_path / "runs" / "results").iterdir())


def test_help_has_an_example(run):
    for arguments in (("experiment", "toy"), ("experiment", "all"), ("report",)):
        status, output = run(*arguments, "--help")
        assert status == 0 and "Example: nsn-ref" in output
