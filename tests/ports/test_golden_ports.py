"""The worked example in PyTorch passes every case on the CPU; broken, it does not."""

import pytest

from nsn_ref.golden import check as checker
from nsn_ref.golden import ports, report, suite
from nsn_ref.golden.locate import golden_dir, suite_dir

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def cases():
    return suite.load(suite_dir())


@pytest.fixture
def port():
    """Loaded anew for each test."""
    return ports.load(str(golden_dir() / "ports" / "torch_port.py"))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_torch_port_passes_every_case(dtype, cases, port):
    chosen = checker.select(cases, dtype=dtype)
    result = checker.check(port, chosen, require=["*"])
    assert result.passed and result.covered == len(chosen), report.verdict(result)


@pytest.mark.parametrize("threads", [1, 2])
def test_whatever_the_number_of_threads(threads, cases, port):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert checker.check(port, checker.select(cases, op="mlp_step", dtype="float32")).passed
    finally:
        torch.set_num_threads(before)


def test_adam_is_not_adamw(cases, port):
    """Adam instead of AdamW: the decay goes into the gradient."""
    right = torch.optim.AdamW
    port.target.torch.optim.AdamW = torch.optim.Adam
    try:
        result = checker.check(port, checker.select(cases, op="mlp_step"))
    finally:
        port.target.torch.optim.AdamW = right
    failed = {t.name.split(".")[0] for r in result.results for t in r.tensors if not t.passed}
    assert failed == {"param", "m", "v"}
    assert not result.passed


def test_bfloat16_autocast_is_rejected(cases, port):
    def run(op, inputs, attrs):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = right(op, inputs, attrs)
        return outputs

    right, port.target.run = port.target.run, run
    result = checker.check(port, checker.select(cases, op="nested_linear*", dtype="float32"))
    assert result.count("passed") == 0
