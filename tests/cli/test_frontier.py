"""`nsn-ref frontier`: what it prints, writes and refuses."""

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from nsn_ref import MLP, TrainConfig, train
from nsn_ref.cli.frontier import frontier
from nsn_ref.errors import FileError, NSNError, OptionError

app = typer.Typer(rich_markup_mode="rich")
app.command()(frontier)


def run(*arguments):
    """Exit status and output; a typed error is raised, as `main` turns it into a message and status 2."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "120", "TERM": "dumb"})
    if isinstance(result.exception, NSNError):
        raise result.exception
    return result.exit_code, result.output


@pytest.fixture
def folder(tmp_path, rng):
    x, labels = rng.standard_normal((40, 5)).astype(np.float32), rng.integers(0, 3, 40)
    config = TrainConfig(steps=12, batch_size=8, engine="reference", variants=(2,), seed=4)
    data = x, labels
    train(MLP((5, 7, 3), 4), data, config, out=tmp_path / "run", held_out=data, progress=False)
    return tmp_path / "run"


def test_table_and_files(folder, tmp_path):
    before = {path.name for path in folder.iterdir()}
    status, output = run(folder, "--out", tmp_path / "out")
    rows = [line.replace("│", " ").split() for line in output.splitlines()]
    assert status == 0
    first = next(row for row in rows if row[:1] == ["1"])
    assert "66" in first and f"{100 * 66 / 112:.1f}" in first  # 2 (1 (5 + 7) + 7 * 3) FLOPs, of 2 (5 * 7 + 7 * 3)
    assert [r[0] for r in rows if r[1:2] == ["yes"]] == ["2", "4"]
    for name in ("frontier.csv", "frontier.json", "frontier.png", "log_variances.png", "energies.png"):
        assert (tmp_path / "out" / name).is_file() and f"wrote {tmp_path / 'out' / name}" in output
    assert {path.name for path in folder.iterdir()} == before


def test_refusals(folder, tmp_path):
    with pytest.raises(OptionError, match=r"--seed: got 3, expected 4"):
        run(folder, "--seed", "3")
    with pytest.raises(FileError, match="cannot be read"):
        run(tmp_path / "nowhere")
    (folder / "held_out.safetensors").unlink()
    with pytest.raises(FileError, match="held_out"):
        run(folder, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_help_has_an_example():
    status, output = run("--help")
    assert status == 0 and "nsn-ref frontier runs/digits" in output
