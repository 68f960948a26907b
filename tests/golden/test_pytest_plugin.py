"""The pytest plug-in: one test for each case, and nothing at all without its option."""

import os
import re
import subprocess
import sys
import tomllib

import pytest

from nsn_ref.golden import check as checker
from nsn_ref.golden.locate import PACKAGE, golden_dir

ROOT = PACKAGE.parent
NUMPY_PORT = golden_dir() / "ports" / "numpy_port.py"


@pytest.fixture
def run_pytest(tmp_path):
    """Run pytest in an empty folder with the plug-in loaded; its exit status and output."""

    def run(*args):
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        command = [sys.executable, "-m", "pytest", "-p", "pytest_nsn"]
        command += ["-p", "no:cacheprovider", *map(str, args)]
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return ended.returncode, ended.stdout + ended.stderr

    return run


@pytest.fixture
def broken(tmp_path):
    source = NUMPY_PORT.read_text() + (
        "\n\nright = layer\n\n\ndef layer(x, A, B, b, r):\n    return right(x, A, B, b, max(r - 1, 1))\n"
        "\n\ndel OPERATIONS['objective_forward']\n"
    )
    path = tmp_path / "broken.py"
    path.write_text(source)
    return path


def test_a_right_port_passes_one_test_for_each_case(run_pytest, cases):
    chosen = checker.select(cases, op="nested_linear_forward", dtype="float32")
    status, out = run_pytest(f"--nsn-port={NUMPY_PORT}", "--nsn-op", "nested_linear_forward", "--nsn-dtype", "float32")
    assert status == 0 and f"{len(chosen)} passed" in out, out


def test_a_failure_reads_as_the_command_line_s(run_pytest, broken):
    status, out = run_pytest(f"--nsn-port={broken}", "--nsn-op", "nested_linear_forward", "-k", "interior-rank and f64")
    assert status == 1 and "1 failed" in out
    assert "FAILED nested_linear_forward/f64/interior-rank-001  [rank off by one]" in out
    assert "this is the result at rank 3: the rank is one too small" in out and "Traceback" not in out


def test_what_is_not_covered_is_skipped_unless_required(run_pytest, broken):
    status, out = run_pytest(f"--nsn-port={broken}", "--nsn-op", "objective_forward")
    assert status == 0 and re.search(r"\d+ skipped", out) and "passed" not in out
    status, out = run_pytest(f"--nsn-port={broken}", "--nsn-op", "objective_forward", "--nsn-require", "objective*")
    assert status == 1 and "is required: not covered" in out


def test_its_own_tests_are_run_beside_the_cases(run_pytest, tmp_path):
    (tmp_path / "test_mine.py").write_text("def test_mine():\n    pass\n")
    status, out = run_pytest(f"--nsn-port={NUMPY_PORT}", "--nsn-op", "objective_forward", "-k", "mine or far-001", "-v")
    assert status == 0 and "test_mine.py::test_mine PASSED" in out and "objective_forward/f64/far-001 PASSED" in out


def test_a_program_is_run_once(run_pytest, tmp_path):
    """A second run would find its mark and end with an error."""
    program = tmp_path / "program.py"
    program.write_text(
        "import pathlib, sys\n"
        "mark = pathlib.Path('ran')\n"
        "assert not mark.exists()\n"
        "mark.touch()\n"
        f"sys.path.insert(0, {str(golden_dir() / 'ports')!r})\n"
        "import numpy_cmd_port\n"
        "numpy_cmd_port.main(*sys.argv[1:])\n"
    )
    port = f"cmd:{sys.executable} {program}"
    status, out = run_pytest(f"--nsn-port={port}", "--nsn-op", "objective_forward", "--nsn-dtype", "float64")
    assert status == 0 and re.search(r"\d+ passed", out), out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--nsn-port=no/such/port.py"], "no such file"),
        ([f"--nsn-port={NUMPY_PORT}", "--nsn-lane", "fast"], "no case has"),
        ([f"--nsn-port={NUMPY_PORT}", "--nsn-suite", "nowhere"], "No such file"),
    ],
)
def test_what_is_not_the_port_s_result_is_a_usage_error(args, message, run_pytest):
    status, out = run_pytest(*args)
    assert status == 4 and message in out and "Traceback" not in out


def test_without_the_option_nothing_is_loaded(run_pytest, tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "import sys\n\n\ndef test_mine():\n    assert not {'numpy', 'nsn_ref'} & sys.modules.keys()\n"
    )
    status, out = run_pytest()
    assert status == 0 and "1 passed" in out, out


def test_it_is_declared_and_packed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {"nsn": "pytest_nsn"}
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]["pytest_nsn.py"] == "pytest_nsn.py"
    assert "pytest_nsn.py" in project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
