"""The worked example in JAX passes every case that it covers on the CPU; broken, it does not."""

import pytest

from nsn_ref.golden import check as checker
from nsn_ref.golden import ports, report, suite
from nsn_ref.golden.locate import golden_dir, suite_dir

jax = pytest.importorskip("jax")

DTYPES = ("float64", "float32")


@pytest.fixture(scope="module")
def cases():
    return suite.load(suite_dir())


@pytest.fixture
def port():
    """Loaded anew for each test."""
    return ports.load(str(golden_dir() / "ports" / "jax_port.py"))


def assert_passes(port, cases):
    result = checker.check(port, cases)
    assert result.passed, report.verdict(result)
    return {r.case.op for r in result.results if r.status == "passed"}


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_jax_port_passes_the_last_case_of_every_operation(dtype, cases, port):
    """XLA compiles every case anew, so only the slow test runs all."""
    last = {case.op: case for case in checker.select(cases, dtype=dtype)}
    assert {"mlp_step", "multirank_linear_backward", "objective_backward"} <= assert_passes(port, list(last.values()))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_jax_port_passes_every_case_that_it_covers(dtype, cases, port):
    assert_passes(port, checker.select(cases, dtype=dtype))


def test_float64_needs_x64(cases, port):
    """The setting that every JAX program in float64 needs; without it JAX computes in float32."""
    jax.config.update("jax_enable_x64", False)
    try:
        result = checker.check(port, checker.select(cases, op="objective_backward", dtype="float64")[:1])
    finally:
        jax.config.update("jax_enable_x64", True)
    assert "requested dtype float64" in result.results[0].error and "not available" in result.results[0].error


def test_a_gradient_that_is_stopped_is_caught(cases, port):
    softplus = port.target.jax.nn.softplus
    port.target.jax.nn.softplus = lambda s: softplus(jax.lax.stop_gradient(s))
    try:
        result = checker.check(port, checker.select(cases, op="objective_backward", dtype="float32"))
    finally:
        port.target.jax.nn.softplus = softplus
    assert {r.case.id.split("/")[-1] for r in result.results if r.status == "failed"} == {
        "bounded-001",
        "bounded-far-001",
    }
