"""The worked example in C passes every case that it covers, through files; broken, it does not.

It leaves out what decoders have.
"""

import json
import shutil
import subprocess

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file
from short_formats import assert_rounds_to_nearest_even

from nsn_ref.golden import check as checker
from nsn_ref.golden import contracts, ports, report, schema, suite
from nsn_ref.golden.locate import golden_dir, suite_dir

CC = shutil.which("cc")
FOLDER = golden_dir() / "ports" / "c"
pytestmark = pytest.mark.skipif(CC is None, reason="needs a C compiler named cc")


def compiled(source, to, *options):
    """The program, compiled without a warning."""
    command = [CC, "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", *options, "-o", to, source / "port.c", "-lm"]
    subprocess.run(list(map(str, command)), check=True)
    return to


@pytest.fixture(scope="module")
def cases():
    return suite.load(suite_dir())


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return compiled(FOLDER, tmp_path_factory.mktemp("c") / "port", "-O2")


@pytest.mark.parametrize("dtype", contracts.DEFAULTS)
def test_the_c_port_passes_every_case(dtype, cases, program):
    chosen = [case for case in cases if case.dtype == dtype and schema.FILES[case.op] != "decoder"]
    if not chosen:
        pytest.skip(f"the suite has no cases in {dtype}")
    result = checker.check(ports.load(f"cmd:{program}"), chosen, require=["*"])
    assert result.passed, report.verdict(result)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_short_formats_are_rounded_to_nearest_even(dtype, program):
    assert_rounds_to_nearest_even(ports.load(f"cmd:{program}"), dtype)


def test_a_gradient_that_overwrites_is_caught(cases, tmp_path):
    for file in FOLDER.iterdir():
        shutil.copy(file, tmp_path)
    text = (tmp_path / "layers.h").read_text()
    broken = text.replace("*F(element)(out, i, j) += sum;", "*F(element)(out, i, j) = sum;")
    assert broken != text
    (tmp_path / "layers.h").write_text(broken)
    port = ports.load(f"cmd:{compiled(tmp_path, tmp_path / 'broken')}")
    result = checker.check(port, checker.select(cases, op="multirank_linear_backward"))
    assert result.count("failed") > 10


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    try:
        options = "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"
        return compiled(FOLDER, tmp_path_factory.mktemp("c") / "sanitized", *options)
    except subprocess.CalledProcessError:
        pytest.skip("the compiler has no sanitizers")


@pytest.mark.slow
def test_no_access_out_of_bounds_and_nothing_undefined(cases, sanitized):
    assert checker.check(ports.load(f"cmd:{sanitized}"), cases).passed


def run(program, folder, op, attrs, inputs):
    """Run one call; inputs are a file."""
    calls = {"version": 1, "calls": [{"id": "0", "op": op, "attrs": attrs, "session": None, "inputs": str(inputs)}]}
    (folder / "calls.json").write_text(json.dumps(calls))
    return subprocess.run([program, folder / "calls.json", folder], capture_output=True, text=True, errors="replace")


def test_bad_inputs_end_in_a_message(program, tmp_path):
    inputs, good = tmp_path / "inputs.safetensors", np.ones
    layer = {"x": good((2, 3)), "A": good((5, 3)), "B": good((4, 5)), "b": good(4)}
    bad = {
        "rank 6, expected 1..5": (layer, 6),
        "shapes do not match": (layer | {"x": good((2, 4))}, 2),
        "the bias has 3 elements": (layer | {"b": good(3)}, 2),
        "no parameters A, B or W, and b": ({name: x for name, x in layer.items() if name != "b"}, 2),
        "A has dtype F32": (layer | {"A": good((5, 3), np.float32)}, 2),
        "B: dtype I32 is not supported": (layer | {"B": good((4, 5), np.int32)}, 2),
    }
    for message, (tensors, rank) in bad.items():
        save_file(tensors, inputs)
        done = run(program, tmp_path, "nested_linear_forward", {"rank": rank}, inputs)
        assert done.returncode == 1 and message in done.stderr, done.stderr
    save_file(layer, inputs)
    assert run(program, tmp_path, "nested_linear_forward", {"rank": 5}, inputs).returncode == 0


@pytest.mark.slow
def test_damaged_files_end_in_a_message_and_not_in_a_crash(sanitized, tmp_path):
    rng = np.random.default_rng(9)
    path = tmp_path / "inputs.safetensors"
    save_file({"x": np.ones((2, 3)), "A": np.ones((5, 3)), "B": np.ones((4, 5)), "b": np.ones(4)}, path)
    whole = path.read_bytes()
    refused = 0
    for k in range(150):
        damaged = bytearray(whole[: rng.integers(len(whole))] if k % 3 == 0 else whole)
        for _ in range(k % 3):
            damaged[rng.integers(min(len(damaged), 250))] = rng.integers(256)
        path.write_bytes(damaged)
        done = run(sanitized, tmp_path, "nested_linear_forward", {"rank": 2}, path)
        assert done.returncode in (0, 1) and "Sanitizer" not in done.stderr, done.stderr
        refused += done.returncode
    assert refused > 100
