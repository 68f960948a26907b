"""`nsn-ref train text` and `train decoder`: what they write and refuse."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from nsn_ref.cli import register
from nsn_ref.errors import FileError, NSNError, OptionError
from nsn_ref.surgery.adapt import adapt
from nsn_ref.surgery.folder import open_model

SMALL = (
    "--hidden", 12, "--intermediate", 20, "--blocks", 1, "--heads", 2, "--kv-heads", 1, "--context", 16,
    "--steps", 3, "--batch-size", 2,
)  # fmt: skip


def run(*arguments):
    """What is printed; a typed error is raised, as `main` turns it into a message and status 2."""
    app = typer.Typer(rich_markup_mode="rich")
    register.commands(app)
    result = CliRunner().invoke(app, ["train", *map(str, arguments)], env={"COLUMNS": "140", "TERM": "dumb"})
    if isinstance(result.exception, NSNError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("Now is the winter of our discontent made glorious summer. " * 20)
    return path


@pytest.fixture
def plain(text, tmp_path):
    run("text", "--text", text, "--out", tmp_path / "plain", *SMALL)
    return tmp_path / "plain"


@pytest.fixture
def nested(plain, tmp_path):
    adapt(plain, tmp_path / "nested", ranks=7)
    return tmp_path / "nested"


def test_text(plain, text):
    decoder, params, _ = open_model(plain)
    assert decoder.config.vocabulary == 256 and decoder.config.kv_heads == 1
    assert not (plain / "nsn.json").exists()
    again = plain.parent / "again"
    run("text", "--text", text, "--out", again, *SMALL)
    for name, p in open_model(again).params.items():
        assert np.array_equal(p, params[name])


def test_decoder(nested, text, tmp_path):
    out = tmp_path / "tuned"
    printed = run("decoder", nested, "--text", text, "--out", out, "--steps", 4, "--variants", "2,5", "--batch-size", 3)
    assert f"wrote {out}" in printed
    before, after = open_model(nested), open_model(out)
    assert after.decoder == before.decoder
    changed = {name for name, p in after.params.items() if not np.array_equal(p, before.params[name])}
    assert changed == set(before.params)  # the log-variances among them
    facts = json.loads((out / "nsn.json").read_text())
    assert facts["provenance"] == before.facts["provenance"]
    (tuning,) = facts["fine_tuning"]
    assert tuning["config"]["variants"] == [2, 5] and tuning["window"] == 16
    run("decoder", out, "--text", text, "--out", tmp_path / "twice", "--steps", 1)
    assert len(open_model(tmp_path / "twice").facts["fine_tuning"]) == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("text", "--text", "corpus.txt", "--out", "nested", *SMALL), FileError, "nested: exists already"),
        (("text", "--text", "none.txt", "--out", "new", *SMALL), FileError, r"none\.txt"),
        (("text", "--text", "corpus.txt", "--out", "new", "--heads", "5"), OptionError, "heads is 5"),
        (("decoder", "nested", "--text", "corpus.txt", "--out", "plain"), FileError, "plain: exists already"),
        (("decoder", "nested", "--text", "corpus.txt", "--out", "new", "--variants", "2,x"), OptionError, "2,x"),
        (("decoder", "nested", "--text", "corpus.txt", "--out", "new", "--window", "17"), OptionError, "window"),
    ],
)
def test_refusals_write_nothing(nested, text, tmp_path, monkeypatch, arguments, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        run(*arguments)
    assert not (tmp_path / "new").exists()
