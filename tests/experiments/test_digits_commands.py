"""`nsn-ref train digits`, `nsn-ref frontier` on its run, and `nsn-ref experiment digits`, on the real scans."""

import inspect
import json

import pytest
import typer
from typer.testing import CliRunner

pytest.importorskip("sklearn")

from nsn_ref import load_run
from nsn_ref.cli import experiment, register, train
from nsn_ref.errors import FileError, NSNError, OptionError, RankError
from nsn_ref.experiments import digits

app = typer.Typer(rich_markup_mode="rich")
register.commands(app)


def run(*arguments):
    """Exit status and output; a typed error is raised, as `main` turns it into a message and status 2."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "120", "TERM": "dumb"})
    if isinstance(result.exception, NSNError):
        raise result.exception
    return result.exit_code, result.output


SMALL = ("--R", 8, "--widths", "16", "--epochs", 3, "--engine", "reference")


def test_train_then_frontier(tmp_path):
    folder = tmp_path / "run"
    status, output = run("train", "digits", *SMALL, "--out", folder, "--seed", 3)
    assert status == 0 and f"wrote {folder}" in output and f"nsn-ref frontier {folder}" in output
    made = load_run(folder)
    assert made.config.seed == 3 and made.config.variants == (1, 2, 4) and len(made.metrics) == made.steps == 3 * 23
    status, output = run("frontier", folder)
    rows = json.loads((folder / "frontier.json").read_text())["rows"]
    assert status == 0 and [row["rank"] for row in rows if row["trained"]] == [1, 2, 4, 8]
    assert rows[-1]["accuracy"] > 0.8 > rows[0]["accuracy"]


def test_resuming_reaches_the_same_weights(tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run("train", "digits", *SMALL, "--out", whole)[0] == 0
    from nsn_ref.training import loop

    def stop_at_40(*arguments):
        for done in steps(*arguments):
            yield done
            if done == 40:
                raise KeyboardInterrupt

    steps = loop.run_steps
    monkeypatch.setattr(loop, "run_steps", stop_at_40)
    status, output = run("train", "digits", *SMALL, "--out", parts)
    assert status == 130 and "--resume continues" in output and len(load_run(parts).metrics) == 40
    monkeypatch.setattr(loop, "run_steps", steps)
    assert run("train", "digits", *SMALL, "--out", parts, "--resume")[0] == 0
    a, b = load_run(whole).params, load_run(parts).params
    assert all((a[name] == b[name]).all() for name in a)
    assert (whole / "held_out.safetensors").read_bytes() == (parts / "held_out.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (("--widths", "12,x"), OptionError, "--widths is '12,x', expected integers separated by commas"),
        (("--widths", "0"), OptionError, r"widths\[1\] is 0"),
        (("--R", 0), OptionError, "R is 0"),
        (("--variants", "3,9"), RankError, "9"),
        (("--epochs", 0), OptionError, "epochs is 0"),
        (("--lr", "nan"), OptionError, "lr is nan"),
        (("--curriculum", "steep"), OptionError, "curriculum is 'steep', expected one of"),
        (("--objective", "mean"), OptionError, "kind is 'mean', expected one of"),
        (("--engine", "torch"), OptionError, "engine is 'torch', expected one of"),
        (("--seed", -1), OptionError, "seed is -1"),
    ],
)
def test_bad_options_are_named_and_nothing_is_written(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        run("train", "digits", *SMALL, "--out", tmp_path / "run", *options)
    assert not (tmp_path / "run").exists()


def test_a_folder_with_another_run_is_left_alone(tmp_path):
    run("train", "digits", *SMALL, "--out", tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(OptionError, match="holds a run"):
        run("train", "digits", *SMALL, "--out", tmp_path / "run", "--seed", 1)
    with pytest.raises(OptionError, match="seed is 1, expected 0"):
        run("train", "digits", *SMALL, "--out", tmp_path / "run", "--seed", 1, "--resume")
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_quick_experiment(tmp_path):
    status, output = run("experiment", "digits", "--quick", "--out", tmp_path / "results", "--seed", 2)
    assert status == 0
    assert all(f"wrote {tmp_path / 'results' / name}" in output for name in ("digits.md", "digits.json", "digits.png"))
    assert (
        f"nsn-ref experiment digits --quick --seed 2 --out {tmp_path}"
        in (tmp_path / "results" / "digits.md").read_text()
    )


def test_a_folder_that_cannot_be_made_is_refused_before_the_experiment(tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "run", lambda *_, **__: pytest.fail("trained for nothing"))
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be made"):
        run("experiment", "digits", "--quick", "--out", tmp_path / "file")


def test_defaults_are_those_of_the_experiment():
    defaults = {name: p.default for name, p in inspect.signature(train.digits).parameters.items()}
    chosen = digits.SETTINGS | digits.NESTED
    assert {name: defaults[name] for name in defaults.keys() & chosen.keys()} == {
        name: chosen[name] for name in chosen.keys() - {"warmup_steps", "clip"}
    }
    assert defaults["R"] == digits.R and defaults["widths"] == ",".join(map(str, digits.HIDDEN))
    assert inspect.signature(experiment.digits).parameters["repeats"].default == digits.FULL.repeats


@pytest.mark.parametrize("command", [("train", "digits"), ("experiment", "digits"), ("frontier",)])
def test_help_has_an_example(command):
    status, output = run(*command, "--help")
    assert status == 0 and "Example: nsn-ref" in output and "--seed" in output
