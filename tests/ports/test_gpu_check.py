"""The GPU check: its steps on the CPU, and what it makes of a GPU that rounds operands to TF32."""

import importlib.util
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from nsn_ref.golden import check as checker
from nsn_ref.golden import suite
from nsn_ref.golden.locate import golden_dir, suite_dir

torch = pytest.importorskip("torch")

SCRIPT = golden_dir() / "ports" / "gpu_check.py"


@pytest.fixture
def script(monkeypatch):
    """The script as a module, with a PyTorch port of its own; the settings that it pins are put back."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    monkeypatch.delitem(sys.modules, "torch_port", raising=False)
    spec = importlib.util.spec_from_file_location("gpu_check_under_test", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    module.pin(tf32=False)
    monkeypatch.delitem(sys.modules, "torch_port")


@pytest.fixture(scope="module")
def cases():
    return suite.load(suite_dir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
    assert done.returncode == 2
    assert "finds no CUDA device" in done.stderr and not done.stdout


def test_a_dry_run_on_the_cpu(script, tmp_path, capsys):
    out = tmp_path / "results" / "gpu.md"
    assert script.main(["--device", "cpu", "--mode", "eager", "--op", "nested_linear_*", "--out", str(out)]) == 0
    text = out.read_text()
    assert "A dry run on the CPU" in text and torch.__version__ in text
    for configuration in script.CONFIGURATIONS:
        assert f"\n| {configuration.name} | eager | " in text
    assert text.count(" | passed |") >= 2 and "no TF32 on this device" in text
    assert str(out) in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compiler's own modules
def test_a_compiled_dry_run(script, capsys):
    assert script.main(["--device", "cpu", "--mode", "compiled", "--op", "objective_forward"]) == 0
    assert "float32  compiled  " in capsys.readouterr().out


def test_a_compiled_port_is_compiled_anew_for_each_call(script, monkeypatch, cases):
    compiled = []
    monkeypatch.setattr(script.torch, "compile", lambda f, dynamic: compiled.append(f) or f)
    case = checker.select(cases, op="objective_forward")[0]
    before = script.torch_port.OPERATIONS
    for _ in range(2):
        assert script.CompiledPort.run(case.op, case.inputs, case.attrs)
    assert compiled == [before["objective_forward"]] * 2 and script.torch_port.OPERATIONS is before
    with pytest.raises(NotImplementedError):
        script.CompiledPort.run("unknown", {}, {})


def round_to_tf32(x):
    """11 bits of a float32, to nearest even."""
    bits = x.detach().numpy().view(np.uint32)
    return torch.tensor(((bits + 0xFFF + ((bits >> 13) & 1)) & np.uint32(0xFFFFE000)).view(np.float32))


@pytest.fixture
def tf32_device(monkeypatch):
    """Products that round their operands as soon as PyTorch lets them; to be had before the port is imported."""
    right = torch.nn.functional.linear

    def linear(x, W, b=None):
        if torch.get_float32_matmul_precision() == "high" and x.dtype == torch.float32:
            return right(round_to_tf32(x), round_to_tf32(W), b)
        return right(x, W, b)

    monkeypatch.setattr(torch.nn.functional, "linear", linear)


def test_tf32_is_reported_as_not_float32(tf32_device, script, cases):
    found = {
        row.configuration.name: row
        for row in script.rows("cpu", checker.select(cases, op="nested_linear_forward"), ["eager"])
    }
    assert found["float32"].verdict == found["float64"].verdict == "passed"
    tf32 = found["TF32, claimed to be float32"]
    assert tf32.verdict == "not float32, as it must be" and tf32.as_it_must
    assert tf32.report.count("failed") >= 5


def test_what_is_not_as_it_must_be_is_said(script, cases):
    float32, tf32 = script.CONFIGURATIONS[1:3]
    case = next(c for c in cases if c.dtype == "float32")

    def report_of(status, error=None):
        result = SimpleNamespace(case=case, status=status, error=error, rho=70.0)
        return SimpleNamespace(results=[result], passed=status == "passed", count=lambda s: int(s == status))

    fails, passes, raises = report_of("failed"), report_of("passed"), report_of("failed", "the port raised it")
    wrong = script.judge(float32, "eager", fails, "cuda")
    assert wrong.verdict == "FAILED 1" and not wrong.as_it_must
    assert script.first_failures(wrong) == [f"- eager, {case.id}: rho 70"]
    unnoticed = script.judge(tf32, "eager", passes, "cuda")
    assert unnoticed.verdict == "NOT NOTICED: passed as float32" and not unnoticed.as_it_must
    assert script.judge(tf32, "eager", fails, "cuda").as_it_must
    broken = script.judge(tf32, "eager", raises, "cuda")  # an exception does not show that TF32 was noticed
    assert not broken.as_it_must and script.first_failures(broken) == [f"- eager, {case.id}: the port raised it"]
    assert script.judge(float32, "eager", None, "cuda").verdict == "no cases in this suite"
