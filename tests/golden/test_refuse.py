"""The refuse lane: whatever the checker must not let pass, by way of the command, and with which exit status.

1 is the port's result, 2 is anything else: a suite, a port or a request that cannot be used. What each check does in
detail is tested beside its code (test_check.py, test_ports.py, test_suite.py, test_tensors.py).
"""

import json
import shutil
import sys

import pytest

from nsn_ref.golden.locate import golden_dir, suite_dir

ONE = ("--op", "nested_linear_forward", "--dtype", "float32")
LARGE = ("--shape", "n=1000000,d_in=4096,d_out=4096", "--ranks", "64")
RIGHT = f"""
import os, sys, time
import numpy as np
sys.path.insert(0, {str(golden_dir() / "ports")!r})
import numpy_port


def run(op, inputs, attrs):
    y = numpy_port.run(op, inputs, attrs)["y"]
"""


@pytest.fixture
def port(tmp_path):
    """A Python port whose result is made from the right one, `y`."""

    def write(body):
        path = tmp_path / "port.py"
        path.write_text(RIGHT + f"    {body}\n")
        return path

    return write


def test_the_right_answer_passes(nsn, port):
    assert nsn("golden", "check", port("return {'y': y}"), *ONE)[0] == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return {'y': y * np.nan}", "got nan"),
        ("return {'y': np.zeros_like(y)}", "got 0.0"),
        ("return {'y': np.full_like(y, np.inf)}", "got inf"),
        ("return {'y': y.astype(np.float64)}", "y has dtype float64, expected float32"),
        ("return {'y': y[:-1]}", "y has shape"),
        ("y[-1] = y[0] + 1; return {'y': y}", "rho"),
        ("return {}", "y is missing"),
        ("return {'y': y, 'z': y}", "undeclared tensor 'z'"),
        ("return 'garbage'", "returned a str, expected a dict"),
        ("raise ValueError('out of range')", "the port raised ValueError: out of range"),
        ("raise NotImplementedError", "covers nothing"),
    ],
)
def test_status_1_for_a_wrong_answer(body, message, nsn, port):
    status, out, _ = nsn("golden", "check", port(body), *ONE)
    assert status == 1 and message in out


@pytest.mark.parametrize(
    ("body", "message"),
    [("time.sleep(60)", "the port was stopped after 1 s"), ("os._exit(3)", "ended its process with status 3")],
)
def test_status_1_for_a_port_that_hangs_or_ends_its_process(body, message, nsn, port):
    status, out, _ = nsn("golden", "check", port(body), *ONE, "--time-limit", "1")
    assert status == 1 and message in out


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("print('garbage' * 100)", "covers nothing"),
        ("raise SystemExit('out of memory')", "ended with status 1: out of memory"),
        ("import time; time.sleep(60)", "the program was stopped after 1 s"),
        (
            "import json, sys\nfor call in json.load(open(sys.argv[1]))['calls']:\n"
            "    open(f'{sys.argv[2]}/{call[\"id\"]}.safetensors', 'w').write('garbage')",
            "the program wrote a bad file",
        ),
    ],
)
def test_status_1_for_a_program_that_fails(source, message, nsn, tmp_path):
    path = tmp_path / "program.py"
    path.write_text(source)
    status, out, _ = nsn("golden", "check", f"cmd:{sys.executable} {path}", *ONE, "--time-limit", "1")
    assert status == 1 and message in out


@pytest.fixture
def suite(tmp_path):
    """A copy of the suite that may be broken."""
    return shutil.copytree(suite_dir(), tmp_path / "suite")


def truncated(suite):
    path = suite / "nested_linear_forward.float32.expected.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def flipped(suite):
    path = suite / "nested_linear_forward.float32.bounds.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def manifest(**changes):
    def change(suite):
        path = suite / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncated, "not a safetensors file"),
        (flipped, "has been altered"),
        (manifest(cases=[]), "has no cases"),
        (manifest(schema_version=2), "schema version 2, this program reads up to 1"),
        (lambda suite: (suite / "manifest.json").write_text("garbage"), "not JSON"),
        (lambda suite: (suite / "manifest.json").unlink(), "No such file"),
    ],
)
def test_status_2_for_a_suite_that_cannot_be_used(damage, message, nsn, port, suite):
    damage(suite)
    status, _, err = nsn("golden", "check", port("return {'y': y}"), *ONE, "--suite", suite)
    assert status == 2 and message in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "has no function run"),
        ("def run(:", "SyntaxError"),
        ("CONTRACT = {'float32': {'speed': 1}}\ndef run(op, inputs, attrs): pass", "has no field 'speed'"),
        ("CONTRACT = {'float8': {}}\ndef run(op, inputs, attrs): pass", "unknown contract 'float8'"),
    ],
)
def test_status_2_for_a_file_that_is_no_port(source, message, nsn, tmp_path):
    path = tmp_path / "port.py"
    path.write_text(source)
    status, _, err = nsn("golden", "check", path)
    assert status == 2 and message in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "no/such/port.py"), "no such file"),
        (("check", "--op", "conv9d"), "no case has op conv9d"),
        (("check", "--lane", "fast"), "lane fast"),
        (("check", "--dtype", "float8"), "dtype float8"),
        (("bisect", "nsn_ref.golden.own_ports:engine", "no/such/case"), "no case 'no/such/case'"),
        (("build", "--op", "conv9d", "--out", "mine"), "conv9d"),
        (("build", "--op", "relu", "--shape", "T=9", "--out", "mine"), "--shape"),
        (("build", "--op", "nested_linear", *LARGE, "--lane", "certified", "--out", "mine"), "too large to certify"),
    ],
)
def test_status_2_for_a_request_that_makes_no_sense(arguments, message, nsn):
    status, _, err = nsn("golden", *arguments)
    assert status == 2 and message in err and len(err.splitlines()) == 1
