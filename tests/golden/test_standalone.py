"""golden/ stands alone: whoever has only that folder and its README can check a port in any language.

`standalone_checker.py` was written from golden/README.md. It runs on a copy of the folder, in a process that cannot
import this package, and checks a port through files.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
GOLDEN = HERE.parents[1] / "golden"
BLOCKED = "import runpy, sys\nsys.modules['nsn_ref'] = None\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"


@pytest.fixture
def folder(tmp_path):
    """A copy of golden/, and nothing else."""
    return shutil.copytree(GOLDEN, tmp_path / "golden", ignore=shutil.ignore_patterns("__pycache__", "node_modules"))


def check(folder, *program):
    """Run the checker where the package cannot be imported."""
    shutil.copy(HERE / "standalone_checker.py", folder.parent)
    start = f"import sys\nsys.argv = sys.argv[1:]\n{BLOCKED}"
    command = [sys.executable, "-c", start, "standalone_checker.py", str(folder), *map(str, program)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=folder.parent, env=environment, capture_output=True, text=True, timeout=300)


def port(folder, *before):
    return (*before, sys.executable, folder / "ports" / "numpy_cmd_port.py")


def result(process):
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def test_a_port_is_checked_with_the_folder_alone(folder):
    found = result(check(folder, *port(folder)))
    manifest = json.loads((folder / "suite" / "manifest.json").read_text())
    assert found["cases"] == len(manifest["cases"]) > 100
    assert found["hashes"] == sum(len(case["inputs"]) + 2 * len(case["outputs"]) for case in manifest["cases"])
    assert found["covered"] > found["cases"] / 2 and found["elements"] > 10_000
    assert found["failed"] == {}
    assert found["modules"] == ["nsn_ref"], "blocked, not imported"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_a_port_in_another_language_is_checked_with_the_folder_alone(folder):
    found = result(check(folder, "node", folder / "ports" / "js" / "port.mjs"))
    assert found["covered"] > found["cases"] / 2 and found["failed"] == {}


def test_a_port_that_is_wrong_fails(folder):
    path = folder / "ports" / "numpy_port.py"
    path.write_text(path.read_text() + "\n\ndef matmul(a, b):\n    return a @ b * (1 + 1e-2)\n")
    found = result(check(folder, *port(folder)))
    assert len(found["failed"]) > found["covered"] / 4
    assert "y is outside its bound" in found["failed"].values()


def test_a_bit_that_has_flipped_is_noticed(folder):
    path = next((folder / "suite").glob("nested_linear_forward.float32.bounds.*"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    process = check(folder, *port(folder))
    assert process.returncode == 1 and "has been altered" in process.stderr
