"""`nsn-ref bench` and `nsn-ref warm`: what they print, write and refuse."""

import json
import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from nsn_ref.bench import engines, names
from nsn_ref.bench.plan import PEERS
from nsn_ref.cli.bench import bench
from nsn_ref.errors import FileError, NSNError, OptionError

app = typer.Typer(rich_markup_mode="rich")
app.command()(bench)


def run(*arguments):
    """Exit status and output; a typed error is raised, as `main` turns it into a message and status 2."""
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "140", "TERM": "dumb"})
    if isinstance(result.exception, NSNError):
        raise result.exception
    return result.exit_code, result.output


def test_info_names_blas_and_peers():
    status, output = run("--info")
    assert status == 0 and "BLAS" in output and "numba" in output
    assert all(name in output for name in ("torch", "jax", "sklearn"))


def test_operations_with_files(tmp_path):
    paths = {end: tmp_path / f"speed.{end}" for end in ("json", "md")}
    status, output = run(
        "operations", "--quick", "--repeats", "1", "--threads", "1",
        "--json", str(paths["json"]), "--markdown", str(paths["md"]),
    )  # fmt: skip
    assert status == 0 and "geometric mean" in output
    record = json.loads(paths["json"].read_text())
    assert record["commands"]["operations"].startswith("nsn-ref bench operations --against torch,")
    times = record["benchmarks"]["operations"]["operations"]["dense_forward"]
    assert len(times["kernel"]["ms"]) == 1 and times["kernel"]["difference"] <= 1e-4
    assert "[speed.json](speed.json)" in paths["md"].read_text()


def test_a_run_adds_to_a_record_of_the_same_machine(monkeypatch, tmp_path):
    found = {"memory": {"runs": [], "steps": 1, "dtype": "float32"}, "startup": {"first_ms": 2.0, "ms": [1.0]}}
    monkeypatch.setattr(names, "runner", lambda name: lambda plan: found[name] | {"threads": plan.threads})
    path, page = tmp_path / "speed.json", tmp_path / "speed.md"
    for name, threads in (("startup", "1"), ("memory", "2"), ("startup", "3")):
        arguments = name, "--threads", threads, "--json", str(path), "--markdown", str(page), "--add"
        assert run(*arguments)[0] == 0
    record = json.loads(path.read_text())
    assert [(name, each["threads"]) for name, each in record["benchmarks"].items()] == [("memory", 2), ("startup", 3)]
    assert page.read_text().count("    nsn-ref bench ") == 2 and "--threads 3" in page.read_text()
    path.write_text(json.dumps(record | {"machine": record["machine"] | {"processor": "abacus"}}))
    with pytest.raises(OptionError, match=r"bench: processor is .*, expected abacus as in .*speed.json, to add to it"):
        run("memory", "--json", str(path), "--add")
    path.write_text("[]")
    with pytest.raises(FileError, match="cannot be added to"):
        run("memory", "--json", str(path), "--add")


def test_an_absent_peer_is_named_and_left_out(monkeypatch):
    monkeypatch.setattr(engines, "installed", lambda name: name != "jax")
    monkeypatch.setattr(names, "runner", lambda name: lambda plan: {"plan": plan.contestants()})
    monkeypatch.setattr(names, "tables", lambda name, record: [])
    status, output = run("step", "--against", "jax,reference")
    assert status == 0 and "jax: not installed, left out" in output


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ("speed", OptionError, "bench: NAME is 'speed', expected one of 'step'"),
        ("--against torch,tf", OptionError, "bench: --against is 'tf', expected one of"),
        ("--dtype int8", OptionError, "bench: --dtype is 'int8'"),
        ("--threads 0", OptionError, "bench: --threads is 0, expected an integer of at least 1"),
        ("--repeats 0", OptionError, "bench: --repeats is 0"),
        ("--json /no/such/folder/x.json", FileError, "--json is /no/such/folder/x.json, expected a file in a folder"),
        ("startup --figure x.png", OptionError, "bench: --figure is given for startup, expected one of step, ranks"),
    ],
)
def test_bad_values_are_typed_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        run(*arguments.split())


def test_a_typed_error_is_one_message_and_status_2():
    command = [sys.executable, "-m", "nsn_ref", "bench", "--against", "tensorflow"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.strip().startswith("error: bench: --against is 'tensorflow', expected one of 'ours'")


def test_help_lists_every_benchmark_and_the_default_engines():
    _, output = run("--help")
    words = output.translate(str.maketrans("│,.;()", "      ")).split()
    assert all(name in words for name in (*names.NAMES, *engines.ENGINES) if name != "ours")
    assert ",".join(PEERS) in output.replace("\n", "").replace("│", "").replace(" ", "")


@pytest.mark.slow
def test_warm_leaves_nothing_to_compile(tmp_path):
    """With an empty cache: after it, every compiled function has a form for both number types."""
    code = """
import importlib, pkgutil
from numba.core.dispatcher import Dispatcher
from nsn_ref import kernels
from nsn_ref.bench.warm import jobs
for _, job in jobs():
    job()
modules = [importlib.import_module(m.name) for m in pkgutil.walk_packages(kernels.__path__, "nsn_ref.kernels.")]
functions = {f for m in modules for f in vars(m).values() if isinstance(f, Dispatcher)}
print(len(functions), sorted(f.__name__ for f in functions if not f.signatures))
"""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.strip().endswith("[]"), result.stdout
