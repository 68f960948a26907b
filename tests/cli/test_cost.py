"""`nsn-ref cost`: what it prints, what it writes, what it refuses."""

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from nsn_ref.cli.cost import cost
from nsn_ref.errors import FileError, NSNError, OptionError, RankError

app = typer.Typer(rich_markup_mode="rich")
app.command()(cost)


def run(*arguments):
    """Exit status and output; a typed error is raised, as `main` turns it into a message and status 2."""
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "120", "TERM": "dumb"})
    if isinstance(result.exception, NSNError):
        raise result.exception
    return result.exit_code, result.output


def cells(line):
    return line.replace("│", " ").split()


def test_one_layer():
    status, output = run("--d-in", "784", "--d-out", "256", "--ranks", "16,256", "--dtype", "float64")
    rows = [cells(line) for line in output.splitlines()]
    assert status == 0
    assert ["16", "16,640", "33,280", "8.3%", "16,896", "135,168"] in rows  # 16 * 1040, + 256 biases, * 8 bytes
    assert ["256", "266,240", "532,480", "132.7%", "266,496", "2,131,968"] in rows
    assert ["dense", "200,704", "401,408", "100.0%", "200,960", "1,607,680"] in rows
    assert "784 to 256: break-even rank 192.98" in output


def test_cached_costs_no_more_than_dense():
    _, output = run("--d-in", "784", "--d-out", "256", "--ranks", "16,256", "--cached")
    rows = [cells(line) for line in output.splitlines()]
    assert ["256", "200,704", "401,408", "100.0%", "200,960", "803,840"] in rows
    assert ["16", "16,640", "33,280", "8.3%", "16,896", "67,584"] in rows


def test_mlp_and_json(tmp_path):
    path = tmp_path / "cost.json"
    status, output = run("--widths", "64,128,10", "--R", "24", "--json", str(path))
    assert status == 0 and str(path) in output.replace("\n", "")
    figures = json.loads(path.read_text())
    assert [row["rank"] for row in figures["ranks"]] == [1, 2, 4, 8, 16, 24]
    for row in figures["ranks"]:
        assert row["multiply_adds"] == row["rank"] * (64 + 128) + 128 * 10
        assert row["flops"] == 2 * row["multiply_adds"]
        assert row["parameters"] == row["multiply_adds"] + 128 + 10
        assert row["bytes"] == 4 * row["parameters"]
        assert row["share_of_dense"] == row["multiply_adds"] / (64 * 128 + 128 * 10)
    assert [layer["R"] for layer in figures["layers"]] == [24, None]


def test_help_has_an_example():
    status, output = run("--help")
    assert status == 0 and "nsn-ref cost --d-in 784 --d-out 256 --ranks 1,16,64" in output


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ("", OptionError, "cost: --d-in is missing, expected --d-in and --d-out, or --widths and --R"),
        ("--d-in 7", OptionError, "cost: --d-out is missing"),
        ("--d-in 0 --d-out 7", OptionError, "d_in is 0, expected an integer of at least 1"),
        ("--d-in 5 --d-out 7 --R 0", OptionError, "cost: --R is 0, expected an integer of at least 1"),
        ("--d-in 5 --d-out 7 --ranks 1,x", OptionError, "cost: --ranks is '1,x', expected integers separated by"),
        ("--d-in 5 --d-out 7 --ranks 6", RankError, r"rank is 6, expected an integer in 1\.\.5"),
        ("--d-in 5 --d-out 7 --dtype int4", OptionError, "dtype is 'int4', expected one of 'float64'"),
        ("--widths 64,10 --R 4", OptionError, "cost: --widths has 2 widths, expected an input, hidden layers and"),
        ("--widths 64,32,10", OptionError, "cost: --R is missing"),
        ("--widths 64,32,10 --d-in 5 --R 4", OptionError, "--widths is given beside --d-in or --d-out"),
        ("--d-in 5 --d-out 7 --json /no/such/folder/x.json", FileError, "cannot be written"),
    ],
)
def test_bad_values_are_typed_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        run(*arguments.split())


def test_a_bad_number_is_a_usage_error():
    status, _ = run("--d-in", "seven", "--d-out", "7")
    assert status == 2


def test_a_typed_error_is_one_message_and_status_2():
    command = [sys.executable, "-m", "nsn_ref", "cost", "--d-in", "0", "--d-out", "7"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.strip() == "error: layer_cost: d_in is 0, expected an integer of at least 1"


PYTHIA = {
    "model_type": "gpt_neox", "vocab_size": 50304, "hidden_size": 2560, "intermediate_size": 10240,
    "num_hidden_layers": 32, "num_attention_heads": 32, "max_position_embeddings": 2048, "hidden_act": "gelu",
}  # fmt: skip


def test_a_decoder_from_its_configuration_alone(tmp_path):
    """Pythia-2.8B: the paper's per cents; at all components each MLP projection is cheaper multiplied out."""
    (tmp_path / "config.json").write_text(json.dumps(PYTHIA))
    status, output = run(
        "--model", str(tmp_path), "--ranks", "256,512,1024,2560", "--json", str(tmp_path / "cost.json")
    )
    rows = [cells(line) for line in output.splitlines()]
    assert status == 0
    forms = {row[0]: (row[3], row[4]) for row in rows if len(row) == 5 and row[0].isdigit()}
    assert forms == dict.fromkeys(("256", "512", "1024"), ("64", "0")) | {"2560": ("0", "64")}
    assert "rank 2560 multiplies out mlp.up (32 of 32), mlp.down (32 of 32)" in " ".join(output.split())
    assert "rank 1024 multiplies out" not in output
    written = json.loads((tmp_path / "cost.json").read_text())
    assert [round(100 * row["share_of_plain"]) for row in written["ranks"]] == [45, 52, 68, 100]
    assert written["ranks"][3]["layers"][0] == {
        "key": "blocks.0.mlp.up", "rank": 2560, "weights": 2560 * 10240, "form": "product",
    }  # fmt: skip
    _, both = run("--model", str(tmp_path), "--layers", "mlp,attention", "--ranks", "256")
    assert any(row[:1] == ["256"] and row[3] == "192" for row in map(cells, both.splitlines()))


def test_a_nested_folder(tmp_path):
    """Its own layers and components are counted; tensors are not needed."""
    from dataclasses import asdict

    from nsn_ref.hf.config import decoder_config
    from nsn_ref.surgery.choice import nested_config

    config = nested_config(decoder_config(PYTHIA), "blocks.0.mlp.up", 100)
    (tmp_path / "nsn.json").write_text(json.dumps({"format": "nsn_ref decoder 1", "config": asdict(config)}))
    _, output = run("--model", str(tmp_path))
    rows = [cells(line) for line in output.splitlines()]
    assert [row[0] for row in rows if len(row) == 5 and row[0].isdigit()] == [
        "1",
        "2",
        "4",
        "8",
        "16",
        "32",
        "64",
        "100",
    ]
    (tmp_path / "nsn.json").write_text("{}")
    with pytest.raises(FileError, match="has the format None"):
        run("--model", str(tmp_path))
