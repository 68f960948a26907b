"""The worked example in NumPy passes every case in every format, through files."""

import sys

import pytest

from nsn_ref.golden import check as checker
from nsn_ref.golden import contracts, ports, report, suite
from nsn_ref.golden.locate import golden_dir, suite_dir

FOLDER = golden_dir() / "ports"


@pytest.fixture(scope="module")
def cases():
    return suite.load(suite_dir())


@pytest.mark.parametrize("dtype", contracts.DEFAULTS)
def test_the_program_passes_every_case(dtype, cases):
    port = ports.load(f"cmd:{sys.executable} {FOLDER / 'numpy_cmd_port.py'}")
    chosen = checker.select(cases, dtype=dtype)
    result = checker.check(port, chosen, require=["*"], staged=False)
    assert result.passed and result.covered == len(chosen), report.verdict(result)


def test_the_order_of_the_inputs_says_nothing(cases):
    """A file lists tensors in any order."""
    port = ports.load(str(FOLDER / "numpy_port.py")).target
    for case in checker.select(cases, dtype="bfloat16_master"):
        backwards = dict(reversed(case.inputs.items()))
        got, want = (port.run(case.op, inputs, case.attrs) for inputs in (backwards, case.inputs))
        assert {name: x.dtype for name, x in got.items()} == {name: x.dtype for name, x in want.items()}, case.id
