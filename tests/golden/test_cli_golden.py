"""`nsn-ref golden` from the command line: exit statuses, reports, building."""

import json
import re
import shutil
import sys

import pytest

from nsn_ref.errors import SuiteError
from nsn_ref.golden import build as builder
from nsn_ref.golden import check as checker
from nsn_ref.golden import suite
from nsn_ref.golden.cases import CASES
from nsn_ref.golden.locate import golden_dir, suite_dir

RAISING = "def run(op, inputs, attrs):\n    raise ArithmeticError('no')\n"
ABSENT = "def run(op, inputs, attrs):\n    raise NotImplementedError\n"
NUMPY_PORT = golden_dir() / "ports" / "numpy_port.py"


@pytest.fixture
def port_file(tmp_path):
    def write(source):
        path = tmp_path / "port.py"
        path.write_text(source)
        return path

    return write


def test_the_own_engine_is_checked_by_default_and_must_cover_everything(nsn, cases):
    chosen = checker.select(cases, op="multirank*", dtype="float32")
    status, out, _ = nsn("golden", "check", "--op", "multirank*", "--dtype", "float32")
    assert status == 0
    counts = re.search(r"PASSED: (\d+) of (\d+) cases passed, 0 not covered", out)
    assert counts and counts[1] == counts[2] and int(counts[1]) > len(chosen), "relations beside the stored cases"
    status, out, _ = nsn("golden", "check", "--op", "multirank*", "--dtype", "float32", "--lane", "property")
    assert status == 0 and "lane property: 1 of 1 passed" in out


def test_status_0_for_a_port_that_passes(nsn, tmp_path, cases):
    n = len(checker.select(cases, op="objective*", dtype="float32"))
    report = tmp_path / "report.json"
    status, out, _ = nsn("golden", "check", NUMPY_PORT, "--op", "objective*", "--dtype", "float32", "--json", report)
    assert status == 0 and f"{n} of {n} cases passed" in out and str(report) in out
    content = json.loads(report.read_text())
    assert content["verdict"] == "passed" and content["counts"] == {
        "passed": n,
        "failed": 0,
        "not covered": 0,
        checker.NO_BOUND: 0,
    }
    assert all(0 <= t["rho"] <= 1 for case in content["cases"] for t in case["tensors"])


def test_status_1_for_a_port_that_fails(nsn, port_file, tmp_path, cases):
    n = len(checker.select(cases, op="*linear*", lane="exact", dtype="float64"))
    report = tmp_path / "report.json"
    status, out, _ = nsn(
        *("golden", "check", port_file(RAISING), "--op", "*linear*", "--dtype", "float64", "--lane", "exact"),
        *("--json", report),
    )
    assert status == 1
    assert "FAILED nested_linear_forward/f64/cancelling-001  [inexact accumulation]" in out
    assert "catches: Large terms cancel" in out and "the port raised ArithmeticError: no" in out
    assert f"FAILED: 0 of {n} cases passed" in out
    assert json.loads(report.read_text())["cases"][0]["error"] == "the port raised ArithmeticError: no"


def test_a_failure_shows_the_worst_element(nsn, port_file):
    source = NUMPY_PORT.read_text() + "\n\ndef matmul(a, b):\n    return a @ b * (1 + 1e-4)\n"
    status, out, _ = nsn("golden", "check", port_file(source), "-x", "--op", "nested_linear_forward")
    assert status == 1 and "stopped after 1 of" in out
    line = next(line for line in out.splitlines() if "rho" in line and "got" in line)
    assert line.strip().startswith("y[") and "expected" in line and "bound" in line


def test_nan_is_reported_and_written_as_json(nsn, port_file, tmp_path):
    source = NUMPY_PORT.read_text() + "\n\ndef matmul(a, b):\n    return a @ b * float('nan')\n"
    report = tmp_path / "report.json"
    status, out, _ = nsn("golden", "check", port_file(source), "--op", "nested_linear_forward", "--json", report)
    assert status == 1 and "got nan" in out and "rho inf" in out
    tensor = json.loads(report.read_text(), parse_constant=pytest.fail)["cases"][0]["tensors"][0]
    assert (tensor["got"], tensor["rho"], tensor["passed"]) == ("nan", "inf", False)


def test_the_table_fits_into_80_columns(nsn, port_file, monkeypatch):
    """That of a port that fails some cases, passes others and leaves out the rest."""
    monkeypatch.setenv("COLUMNS", "80")
    source = NUMPY_PORT.read_text() + (
        "\n\nunchanged = run\n\n\ndef run(op, inputs, attrs):\n    if inputs['A'].dtype == 'bfloat16':\n"
        "        raise NotImplementedError\n    outputs = unchanged(op, inputs, attrs)\n"
        "    return {} if inputs['A'].dtype == 'float16' else outputs\n"
    )
    status, out, _ = nsn("golden", "check", port_file(source), "--op", "residual*")
    assert status == 1 and "…" not in out
    heading, row, *_ = (line.split() for line in out.splitlines() if line.startswith(("operation ", "residual_")))
    assert heading == ["operation", "cases", "passed", "failed", "absent", "rho", "verdict"]
    assert row[0] == "residual_orthogonality_forward" and row[-1] == "FAIL" and "0" not in row[1:5]


def test_status_1_for_what_is_required_but_not_covered(nsn, port_file):
    status, out, _ = nsn("golden", "check", port_file(ABSENT))
    assert status == 1 and "a port that covers nothing does not pass" in out
    only = "--op", "objective*", "--dtype", "float32"
    status, out, _ = nsn("golden", "check", NUMPY_PORT, *only, "--require", "*forward", "--require", "*/f32/far-001")
    assert status == 0
    source = NUMPY_PORT.read_text() + "\n\ndel OPERATIONS['objective_forward']\n"
    assert nsn("golden", "check", port_file(source), *only)[0] == 0
    status, out, _ = nsn("golden", "check", port_file(source), *only, "--require", "*")
    assert status == 1 and "required but not covered: " in out and "operations covered: 1 of 2" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["no/such/port.py"], "no such file"),
        (["no_such_module_at_all"], "cannot be loaded"),
        (["cmd:/no/such/program"], "cannot be started"),
        (["--suite", "no/such/folder"], "No such file or directory"),
        (["--op", "conv9d"], "no case has op conv9d"),
        (["--lane", "fast"], "no case has .*lane fast"),
        (["--require", "conv9d"], "--require conv9d matches none"),
        (["cmd:true", "--contract", "no/such/file.json"], "No such file"),
        ([NUMPY_PORT, "--contract", NUMPY_PORT], "not JSON"),
        (["--json", "no/such/x.json", "--op", "objective_forward"], "--json is no/such/x.json, expected a file"),
    ],
)
def test_status_2_for_what_is_not_the_ports_fault(nsn, args, message):
    status, _, err = nsn("golden", "check", *args)
    assert status == 2 and err.startswith("error: ") and len(err.splitlines()) == 1
    assert re.search(message, err)


def test_status_2_for_an_unknown_option(nsn):
    assert nsn("golden", "check", "--fast")[0] == 2


def test_help_has_an_example(nsn):
    for command in ("check", "bisect", "build"):
        status, out, _ = nsn("golden", command, "--help")
        assert status == 0 and "Example: nsn-ref golden" in out


# --- contracts, pages, bisection --------------------------------------------------------------------------------------


def test_a_looser_contract_is_marked_plainly(nsn, port_file, tmp_path):
    source = NUMPY_PORT.read_text() + "\nCONTRACT = {'float32': {'operand': 'tf32'}}\n"
    page = tmp_path / "report.html"
    only = "--op", "nested_linear*", "--dtype", "float32"
    status, out, _ = nsn("golden", "check", port_file(source), *only, "--html", page)
    assert status == 0 and "contract float32: operand tf32 instead of float32 (LOOSER)" in out
    assert "cases passed, 0 not covered" in out and "under a contract LOOSER than the default in float32" in out
    assert "looser than the default" in page.read_text()


def test_the_contract_of_a_program_lies_in_a_file(nsn, tmp_path):
    path = tmp_path / "contract.json"
    path.write_text('{"float32": {"accumulator": "float64"}}')
    port = f"cmd:{sys.executable} {golden_dir() / 'ports' / 'numpy_cmd_port.py'}"
    only = "--op", "objective_forward", "--dtype", "float32"
    status, out, _ = nsn("golden", "check", port, *only, "--contract", path)
    assert status == 0 and "contract float32: accumulator float64 instead of float32\n" in out
    status, _, err = nsn("golden", "check", NUMPY_PORT, *only, "--contract", path)
    assert status == 2 and "a contract in a file is for programs" in err


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        ("{'float32': {'precision': 'high'}}", "has no field 'precision'"),
        ("{'float31': {}}", "unknown contract 'float31'"),
        ("{'float32': {'operand': 'float31'}}", "operand is 'float31', expected one of"),
        ("['float32']", "CONTRACT is a list"),
    ],
)
def test_status_2_for_a_contract_that_does_not_exist(contract, message, nsn, port_file):
    status, _, err = nsn("golden", "check", port_file(ABSENT + f"CONTRACT = {contract}\n"))
    assert status == 2 and message in err and len(err.splitlines()) == 1


def test_bisect_names_the_first_stage_that_diverges(nsn, port_file):
    wrong = "\n\nright = ACTIVATIONS['relu']\nACTIVATIONS['relu'] = lambda z: (right(z)[0] * (1 + 1e-3), right(z)[1])\n"
    status, out, _ = nsn("golden", "bisect", port_file(NUMPY_PORT.read_text() + wrong), "mlp_step/f32/relu-001")
    assert status == 1 and out.splitlines()[-1] == (
        "first to diverge: a.0, in relu_forward after layers.0, from the port's own inputs to it"
    )
    status, out, _ = nsn("golden", "bisect", NUMPY_PORT, "mlp_step/f32/relu-001")
    assert status == 0 and out.splitlines()[-1] == "nothing diverges"


def test_bisect_needs_a_case_that_exists(nsn):
    status, _, err = nsn("golden", "bisect", NUMPY_PORT, "mlp_step/f99/relu-001")
    assert status == 2 and "no case 'mlp_step/f99/relu-001'" in err and "there is mlp_step/f64/relu-001" in err


# --- building ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    """Some cases of each operation."""
    return [case for case in CASES if case.id.endswith(("batch-one-001", "cancelling-001", "far-001", "bounded-001"))]


def test_building_again_gives_the_same_bytes(small):
    contents = builder.build(suite_dir(), small)
    entries = [
        json.loads(line.rstrip(",\n")) for line in contents["manifest.json"].decode().splitlines() if '"id"' in line
    ]
    committed = {entry["id"]: entry for entry in json.loads((suite_dir() / "manifest.json").read_text())["cases"]}
    assert len(entries) == len(small) > 20
    assert all(entry == committed[entry["id"]] for entry in entries), "the hashes of truth and bounds among them"


@pytest.mark.slow
def test_the_committed_suite_is_what_build_writes(nsn, tmp_path):
    status, out, _ = nsn("golden", "build", "--check")
    count = len(list(suite_dir().iterdir()))
    assert status == 0 and f"{count} of {count} files are as built" in out
    assert nsn("golden", "build", "--out", tmp_path)[0] == 0
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {
        p.name: p.read_bytes() for p in suite_dir().iterdir()
    }


def test_check_finds_every_kind_of_difference_and_writes_nothing(nsn, small, tmp_path, monkeypatch):
    monkeypatch.setattr("nsn_ref.golden.build.build", lambda *args, **options: contents)
    contents = {path.name: path.read_bytes() for path in suite_dir().iterdir()}
    folder = shutil.copytree(suite_dir(), tmp_path / "suite")
    assert nsn("golden", "build", "--check", "--out", folder)[0] == 0
    (folder / "extra.safetensors").write_bytes(b"")
    (folder / "manifest.json").write_bytes(b"{}")
    (folder / "mlp_step.float32.bounds.safetensors").unlink()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    status, out, _ = nsn("golden", "build", "--check", "--out", folder)
    assert status == 1
    for name in ("extra.safetensors", "manifest.json", "mlp_step.float32.bounds.safetensors"):
        assert f"{folder / name}" in out.replace("\n", "")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_inputs_are_drawn_only_for_new_cases(tmp_path):
    case = next(c for c in CASES if c.id == "objective_forward/f32/far-001")
    with pytest.raises(SuiteError, match="far-001 has no committed inputs"):
        builder.build(tmp_path, [case])
    first = builder.build(tmp_path, [case], new_inputs=True)
    builder.write(first, tmp_path)
    (loaded,) = suite.load(tmp_path)
    assert (loaded.inputs["s"] == case.new_inputs()["s"]).all()
    redrawn = case._replace(design=case.design._replace(draw=lambda rng, dtype: pytest.fail("drawn again")))
    assert builder.build(tmp_path, [redrawn], new_inputs=True) == first
