"""golden/ stands alone: whoever has only that folder and its README can check a port in any language.

golden/check_alone.py was written from golden/README.md. It runs on a copy of the folder, in a process that cannot
import this package, and checks a port through files.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[2] / "golden"
BLOCKED = "import runpy, sys; sys.modules['nsn_ref'] = None; sys.argv = sys.argv[1:]; "
START = BLOCKED + "runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.fixture
def folder(tmp_path):
    """A copy of golden/, and nothing else."""
    return shutil.copytree(GOLDEN, tmp_path / "golden", ignore=shutil.ignore_patterns("__pycache__", "node_modules"))


def check(folder, *program):
    """Run the checker where the package cannot be imported."""
    command = [sys.executable, "-c", START, folder / "check_alone.py", *program]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        list(map(str, command)), cwd=folder.parent, env=environment, capture_output=True, text=True, timeout=300
    )


def port(folder):
    return sys.executable, folder / "ports" / "numpy_cmd_port.py"


def counts(process):
    """Cases passed, in all and not covered, as the last line says."""
    summary = re.search(r"(\d+) of (\d+) cases passed, (\d+) not covered", process.stdout.splitlines()[-1])
    return tuple(map(int, summary.groups()))


def all_cases(folder):
    return len(json.loads((folder / "suite" / "manifest.json").read_text())["cases"])


def of_decoders(folder):
    cases = json.loads((folder / "suite" / "manifest.json").read_text())["cases"]
    return sum(case["files"]["inputs"].startswith("decoder.") for case in cases)


def test_a_port_is_checked_with_the_folder_alone(folder):
    process = check(folder, *port(folder))
    assert process.returncode == 0, process.stdout + process.stderr
    assert counts(process) == (all_cases(folder), all_cases(folder), 0)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_a_port_in_another_language_is_checked_with_the_folder_alone(folder):
    """The JavaScript port leaves out what decoders have."""
    process = check(folder, "node", folder / "ports" / "js" / "port.mjs")
    assert process.returncode == 0, process.stdout + process.stderr
    left_out = of_decoders(folder)
    assert left_out > 100 and counts(process) == (all_cases(folder) - left_out, all_cases(folder), left_out)


def test_a_port_that_is_wrong_fails(folder):
    path = folder / "ports" / "numpy_port.py"
    path.write_text(path.read_text() + "\n\ndef matmul(a, b):\n    return a @ b * (1 + 1e-2)\n")
    process = check(folder, *port(folder))
    assert process.returncode == 1 and process.stdout.splitlines()[-1].startswith("FAILED")
    passed, cases, _ = counts(process)
    assert passed < 3 / 4 * cases
    assert re.search(
        r"^nested_linear_forward/\S+: y: \d+ of \d+ elements are outside their bounds$", process.stdout, re.M
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('return {**out, "extra": next(iter(out.values()))}', "there is no output extra"),
        ("return {name: x.astype('float16') for name, x in out.items()}", "is F16"),
        ("return {name: x.reshape(-1, 1) for name, x in out.items()}", "expected F"),
        ("return {}", "is missing"),
        ("return {name: x * float('nan') for name, x in out.items()}", "outside their bounds"),
        ("raise NotImplementedError", "FAILED: 0 of"),
        ("raise SystemExit(3)", "the program ended with status 3"),
    ],
)
def test_every_kind_of_wrong_answer_is_refused(folder, change, message):
    manifest = folder / "suite" / "manifest.json"
    whole = json.loads(manifest.read_text())
    few = [case for case in whole["cases"] if case["id"].startswith("relu_forward/f64")]
    manifest.write_text(json.dumps(whole | {"cases": few}))
    path = folder / "ports" / "numpy_port.py"
    path.write_text(f"{path.read_text()}\n\nright = run\n\n\ndef run(*call):\n    out = right(*call)\n    {change}\n")
    process = check(folder, *port(folder))
    assert process.returncode == 1 and message in process.stdout, process.stdout + process.stderr


def test_a_bit_that_has_flipped_is_noticed(folder):
    path = next((folder / "suite").glob("nested_linear_forward.float32.bounds.*"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    process = check(folder, *port(folder))
    assert process.returncode == 2 and "has been altered" in process.stderr


def test_a_suite_of_a_newer_schema_and_an_empty_one_are_refused(folder):
    manifest = folder / "suite" / "manifest.json"
    whole = json.loads(manifest.read_text())
    for change in ({"schema_version": 2}, {"cases": []}):
        manifest.write_text(json.dumps(whole | change))
        process = check(folder, *port(folder))
        assert process.returncode == 2 and "unreadable suite" in process.stderr
