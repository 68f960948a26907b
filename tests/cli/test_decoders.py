"""`nsn-ref adapt`, `eval`, `generate`, `export`, `frontier` on a decoder: what they print, write and refuse."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from nsn_ref.analysis.perplexity import losses_at_ranks
from nsn_ref.cli import register
from nsn_ref.cli.decoders import ENGINES
from nsn_ref.errors import DataError, FileError, NSNError, OptionError, RankError, ShapeError
from nsn_ref.hf import read_model, write_model
from nsn_ref.nets.decoder import Decoder, DecoderConfig
from nsn_ref.surgery.folder import open_model

TEXT = "Now is the winter of our discontent made glorious summer. " * 20
CONFIG = DecoderConfig(
    vocabulary=256, hidden=12, intermediate=34, blocks=2, heads=3, context=16, rotary=2, parallel=True
)


def run(command, *arguments):
    """Exit status and output; a typed error is raised, as `main` turns it into a message and status 2.

    With the reference operations, which need not be compiled.
    """
    if command in ("eval", "generate", "frontier") and "--engine" not in arguments and "--help" not in arguments:
        arguments = (*arguments, "--engine", "reference")
    app = typer.Typer(rich_markup_mode="rich")
    register.commands(app)
    result = CliRunner().invoke(app, [command, *map(str, arguments)], env={"COLUMNS": "140", "TERM": "dumb"})
    if isinstance(result.exception, NSNError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def rows(output):
    """The cells of a table's lines."""
    return [line.replace("│", " ").split() for line in output.splitlines()]


@pytest.fixture
def model(rng, tmp_path):
    """A byte-level decoder as a Hugging Face folder."""
    decoder = Decoder(CONFIG)
    params = {name: rng.standard_normal(shape) / 3 for name, shape in decoder.shapes().items()}
    write_model(tmp_path / "model", decoder, params)
    return tmp_path / "model"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def nested(model, tmp_path):
    run("adapt", model, "--out", tmp_path / "nested", "--layers", "mlp,attention", "--budgets", "0.75,0.9")
    return tmp_path / "nested"


def test_adapt(model, text, tmp_path):
    out = tmp_path / "out"
    status, output = run("adapt", model, "--out", out, "--ranks", "5", "--randomised", "--whiten", "--text", text)
    assert status == 0 and f"wrote {out}" in output
    line = next(row for row in rows(output) if row[:1] == ["blocks.1.mlp.down"])
    report = json.loads((out / "nsn.json").read_text())["layers"]["blocks.1.mlp.down"]
    assert line == ["blocks.1.mlp.down", "5", "randomised", f"{report['error']:.4g}", f"{report['best_error']:.4g}"]
    provenance = json.loads((out / "nsn.json").read_text())["provenance"]
    assert provenance["whitened"]["tokens"] == len(TEXT) // 16 * 16 and provenance["method"] == "randomised"


def test_eval(nested, text):
    status, output = run("eval", nested, "--text", text, "--ranks", "3,12", "--budgets", "0.8", "--limit", 9)
    opened = open_model(nested)
    tokens = np.frombuffer(TEXT.encode(), np.uint8).astype(np.int64)[: 9 * 16].reshape(9, 16)
    link = opened.facts["chain"][0]
    expected = losses_at_ranks(opened.decoder, opened.params, tokens, [3, 12, link["ranks"]])
    found = [row for row in rows(output) if row[:1] in (["3"], ["12"], ["budget"])]
    assert status == 0 and [row[0] for row in found] == ["3", "12", "budget"]
    for row, loss in zip(found, expected, strict=True):
        row = row if row[0] != "budget" else row[1:]
        assert abs(float(row[1].replace(",", "")) / np.exp(loss) - 1) <= 1e-3
        assert abs(float(row[2]) - loss) <= 1e-3


def test_eval_runs_products_where_they_are_cheaper(nested, text, monkeypatch):
    """At all components every layer is above break-even, and no factor is multiplied by."""
    monkeypatch.setattr("nsn_ref.kernels.nested_linear_forward", None)
    status, output = run("eval", nested, "--text", text, "--ranks", "12", "--limit", 2)
    row = next(row for row in rows(output) if row[:1] == ["12"])
    assert status == 0 and int(row[-1]) == len(open_model(nested).decoder.nested_layers)


def test_eval_of_a_plain_folder(model, text):
    _, output = run("eval", model, "--text", text)
    row = next(row for row in rows(output) if row[:1] == ["plain"])
    assert row[4:6] == ["100.0", "%"]


def test_generate(nested):
    greedy = [run("generate", nested, "--prompt", "Now ", "--count", 5)[1] for _ in range(2)]
    assert greedy[0] == greedy[1] and greedy[0].startswith("Now ")
    ranks = {run("generate", nested, "--prompt", "Now ", "--count", 9, "--rank", r)[1] for r in (1, 4, 12)}
    assert len(ranks) > 1
    drawn = [
        run("generate", nested, "--prompt", "Now ", "--count", 9, "--temperature", 1.5, "--seed", seed)[1]
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    by_budget = run("generate", nested, "--prompt", "Now ", "--count", 9, "--budget", 0.8)[1]
    assert by_budget.startswith("Now ")


def test_export(nested, model, tmp_path):
    """All components give the source's weights to rounding; a budget gives the ranks of the chain."""
    run("export", nested, "--out", tmp_path / "full")
    (decoder, source), (again, exported) = read_model(model), read_model(tmp_path / "full")
    assert decoder == again
    for name, value in source.items():
        assert np.abs(exported[name] - value).max() <= 1e-6 * np.abs(value).max(), name
    run("export", nested, "--out", tmp_path / "cheap", "--budget", 0.8, "--dtype", "float64")
    _, cheap = read_model(tmp_path / "cheap")
    for key, rank in open_model(nested).facts["chain"][0]["ranks"].items():
        s = np.linalg.svd(cheap[f"{key}.W"], compute_uv=False)
        assert s[rank - 1] > 1e-9 * s[0] and (s[rank:] <= 1e-12 * s[0]).all()


def test_full_rank_through_transformers(nested, model, tmp_path):
    """The exported folder gives the source's logits, computed by transformers from both folders."""
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    run("export", nested, "--out", tmp_path / "full")
    tokens = torch.arange(32).reshape(2, 16)
    with torch.no_grad():
        expected, found = (
            transformers.AutoModelForCausalLM.from_pretrained(folder)(tokens).logits
            for folder in (model, tmp_path / "full")
        )
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_frontier(nested, text, tmp_path):
    status, output = run("frontier", nested, "--text", text, "--budgets", "0.75,0.9", "--out", tmp_path / "out")
    assert status == 0
    content = json.loads((tmp_path / "out" / "frontier.json").read_text())
    assert [row["rank"] for row in content["rows"]] == ["1", "2", "4", "8", "12", "budget 0.75", "budget 0.9"]
    assert all(row["share"] <= float(row["rank"].split()[1]) for row in content["rows"] if "budget" in row["rank"])
    assert content["rows"][4]["products"] == 12 and content["rows"][0]["products"] == 0
    for name in ("frontier.csv", "frontier.json", "frontier.png"):
        assert f"wrote {tmp_path / 'out' / name}" in output and (tmp_path / "out" / name).is_file()


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (["adapt", "MODEL", "--out", "OUT", "--whiten"], OptionError, "--whiten is True and --text is None"),
        (
            ["adapt", "MODEL", "--out", "OUT", "--ranks", "13"],
            RankError,
            "the rank of .* is 13, expected an integer in",
        ),
        (["adapt", "MODEL", "--out", "OUT", "--ranks", "half"], OptionError, "rank_rule: got 'half'"),
        (["adapt", "MODEL", "--out", "OUT", "--layers", "mpl"], OptionError, "layers has 'mpl', which names none"),
        (["adapt", "MODEL", "--out", "OUT", "--budgets", "0.9,0.8"], OptionError, "expected increasing shares"),
        (["adapt", "MODEL", "--out", "OUT", "--budgets", "0.1"], OptionError, "increasing shares of at least 0"),
        (["adapt", "MODEL", "--out", "OUT", "--budgets", "x"], OptionError, "--budgets is 'x', expected numbers"),
        (["adapt", "NOWHERE", "--out", "OUT"], FileError, "config.json: cannot be read"),
        (["eval", "NESTED", "--text", "EMPTY"], DataError, "empty.txt: is empty"),
        (["eval", "NESTED", "--text", "BYTES"], DataError, "bytes.txt: is not UTF-8"),
        (["eval", "NESTED", "--text", "NOWHERE"], FileError, "cannot be read"),
        (["eval", "NESTED", "--text", "TEXT", "--ranks", "13"], RankError, r"--ranks: rank is 13, expected .* 1\.\.12"),
        (["eval", "NESTED", "--text", "TEXT", "--window", "17"], OptionError, r"--window is 17, expected .* 2\.\.16"),
        (["eval", "NESTED", "--text", "TEXT", "--engine", "cuda"], OptionError, "--engine is 'cuda'"),
        (["eval", "MODEL", "--text", "TEXT", "--ranks", "1"], OptionError, "the model has no nested layers"),
        (["generate", "NESTED", "--prompt", ""], DataError, "--prompt: is empty"),
        (
            ["generate", "NESTED", "--prompt", "0123456789abcdefg", "--count", "1"],
            ShapeError,
            r"T in 1\.\.16, the context",
        ),
        (["generate", "NESTED", "--prompt", "a", "--rank", "1", "--budget", "1"], OptionError, "expected one of them"),
        (["generate", "NESTED", "--prompt", "a", "--budget", "0.1"], OptionError, "the share at rank 1"),
        (["export", "NESTED", "--out", "OUT", "--rank", "13"], RankError, "rank is 13"),
        (["export", "NESTED", "--out", "OUT", "--rank", "1", "--budget", "1"], OptionError, "expected one of them"),
        (["frontier", "NESTED", "--out", "OUT"], OptionError, "--text is missing"),
    ],
)
def test_refusals_write_nothing(nested, model, text, tmp_path, arguments, error, message):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    places = {
        "MODEL": model, "NESTED": nested, "OUT": tmp_path / "out", "NOWHERE": tmp_path / "nowhere", "TEXT": text,
        "EMPTY": tmp_path / "empty.txt", "BYTES": tmp_path / "bytes.txt",
    }  # fmt: skip
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=message):
        run(*(places.get(argument, argument) for argument in arguments))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_the_engines_agree(nested, text):
    """Compiled kernels print the perplexities of the reference to the digits shown."""
    outputs = [run("eval", nested, "--text", text, "--limit", 3, "--engine", engine)[1] for engine in ENGINES]
    assert rows(outputs[0]) == rows(outputs[1])


@pytest.mark.parametrize("command", ["adapt", "eval", "generate", "export", "frontier"])
def test_help_has_an_example(command):
    status, output = run(command, "--help")
    assert status == 0 and f"nsn-ref {command} " in output
