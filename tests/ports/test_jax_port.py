"""The worked example in JAX passes every case that it covers on the CPU; broken, it does not."""

import pytest

from nsn_ref.golden import check as checker
from nsn_ref.golden import contracts, ports, report, suite
from nsn_ref.golden.locate import golden_dir, suite_dir

jax = pytest.importorskip("jax")


@pytest.fixture(scope="module")
def cases():
    return suite.load(suite_dir())


@pytest.fixture
def port():
    """Loaded anew for each test."""
    return ports.load(str(golden_dir() / "ports" / "jax_port.py"))


def of_format(cases, dtype):
    chosen = [case for case in cases if case.dtype == dtype]
    if not chosen:
        pytest.skip(f"the suite has no cases in {dtype}")
    return chosen


@pytest.mark.parametrize("dtype", contracts.DEFAULTS)
def test_the_jax_port_passes_a_sixth_of_the_operations_in_each_format(dtype, cases, port):
    """Another sixth in each; XLA compiles every case anew, so only the slow test runs all."""
    last = list({case.op: case for case in of_format(cases, dtype)}.values())
    result = checker.check(port, last[list(contracts.DEFAULTS).index(dtype) :: 6], require=["*"])
    assert result.passed, report.verdict(result)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", contracts.DEFAULTS)
def test_the_jax_port_passes_every_case(dtype, cases, port):
    result = checker.check(port, of_format(cases, dtype), require=["*"])
    assert result.passed, report.verdict(result)


def test_float64_needs_x64(cases, port):
    """The setting that every JAX program in float64 needs; without it JAX computes in float32."""
    jax.config.update("jax_enable_x64", False)
    try:
        result = checker.check(port, checker.select(cases, op="objective_backward", dtype="float64")[:1])
    finally:
        jax.config.update("jax_enable_x64", True)
    assert "requested dtype float64" in result.results[0].error and "not available" in result.results[0].error


def test_a_gradient_that_is_stopped_is_caught(cases, port):
    softplus, chosen = port.target.jax.nn.softplus, checker.select(cases, op="objective_backward", dtype="float32")
    port.target.jax.nn.softplus = lambda s: softplus(jax.lax.stop_gradient(s))
    try:
        result = checker.check(port, chosen)
    finally:
        port.target.jax.nn.softplus = softplus
    bounded = {case.id for case in chosen if case.attrs["variant"] == "bounded"}
    assert {r.case.id for r in result.results if r.status == "failed"} == bounded
