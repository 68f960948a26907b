"""Relations between a port's answers, and training on its own state: right ports pass, wrong ones do not."""

import numpy as np
import pytest

from nsn_ref.golden import check as checker
from nsn_ref.golden import contracts, derived


@pytest.fixture
def linear(cases):
    return [c for c in cases if "linear" in c.op and c.dtype == "float32"]


@pytest.fixture
def run_on(port_of):
    """Results by the last part of their id, of a port that is a function."""

    def run(function, cases):
        held_to = {dtype: contracts.default(dtype) for dtype in {c.dtype for c in cases}}
        return {r.case.id.rpartition("/")[2]: r for r in derived.results(port_of(function), cases, held_to)}

    return run


def wrong(results):
    return {name for name, r in results.items() if r.status == "failed"}


ALL = {
    "one-more-component", "gauge", "unused-components", "rows",
    "doubled-cotangent", "unused-gradients", "sum-of-passes",
}  # fmt: skip


def test_a_right_port_satisfies_every_relation(linear, numpy_port, run_on):
    results = run_on(numpy_port.run, linear)
    assert results.keys() == ALL and wrong(results) == set()
    assert all(r.case.lane == "property" for r in results.values())


def test_relations_hold_for_sums_in_any_order(linear, numpy_port, run_on, rng):
    def matmul(a, b):
        order = rng.permutation(a.shape[1])
        return a[:, order] @ b[order]

    numpy_port.matmul = matmul
    for _ in range(5):
        assert wrong(run_on(numpy_port.run, linear)) == set()


def with_outputs(numpy_port, change):
    def run(op, inputs, attrs):
        return change(op, inputs, attrs, dict(numpy_port.run(op, inputs, attrs)))

    return run


def last_component_left_out(op, t, attrs, out):
    r = attrs.get("rank")
    if op == "nested_linear_forward":
        out["y"] = out["y"] - (t["x"] @ t["A"][r - 1])[:, None] * t["B"][:, r - 1] * np.float32(
            r == len(t["A"]) or r % 2
        )
    return out


def depends_on_gauge(op, t, attrs, out):
    if op == "nested_linear_forward":
        out["y"] = out["y"] + np.float32(1e-3) * t["A"][0, 0]
    return out


def depends_on_unused(op, t, attrs, out):
    if op == "nested_linear_forward":
        out["y"] = out["y"] + np.float32(1e-3) * t["B"][0, -1]
    return out


def depends_on_the_first_row(op, t, attrs, out):
    if op == "nested_linear_forward":
        out["y"] = out["y"] + np.float32(1e-3) * t["x"][0, 0]
    return out


def clipped_gradients(op, t, attrs, out):
    return {name: np.clip(x, -0.5, 0.5) if name.startswith("d") else x for name, x in out.items()}


def decayed_gradients(op, t, attrs, out):
    if op == "nested_linear_backward":
        out["dA"] = out["dA"] + np.float32(1e-6) * t["A"]
    return out


def first_rank_only(op, t, attrs, out):
    if op == "multirank_linear_backward":
        out["db"] = t["dys"][0].sum(axis=0)
    return out


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (last_component_left_out, "one-more-component"),
        (depends_on_gauge, "gauge"),
        (depends_on_unused, "unused-components"),
        (depends_on_the_first_row, "rows"),
        (clipped_gradients, "doubled-cotangent"),
        (decayed_gradients, "unused-gradients"),
        (first_rank_only, "sum-of-passes"),
    ],
)
def test_a_port_that_breaks_a_relation_is_caught(change, name, linear, numpy_port, run_on):
    assert name in wrong(run_on(with_outputs(numpy_port, change), linear))


@pytest.mark.parametrize("bad", [lambda x: x * np.nan, lambda x: x[:-1], lambda x: x.astype(np.float64)])
def test_a_wrong_form_or_nan_fails_a_relation(bad, linear, numpy_port, run_on):
    def run(op, t, attrs):
        return {name: bad(x) for name, x in numpy_port.run(op, t, attrs).items()}

    assert wrong(run_on(run, linear)) == ALL


def test_what_a_port_does_not_do_is_not_covered(linear, run_on):
    def run(op, t, attrs):
        raise NotImplementedError

    assert {r.status for r in run_on(run, linear).values()} == {"not covered"}


# --- trajectories -----------------------------------------------------------------------------------------------------


@pytest.fixture
def steps(cases):
    return [c for c in cases if c.session in ("f64/trajectory", "f32/trajectory")]


def test_steps_that_follow_each_other_are_found(steps, cases):
    runs = derived.trajectories(steps)
    assert [len(run) for run in runs] == [4, 4]
    assert derived.trajectories([c for c in cases if c.session is None]) == []


def test_a_right_port_drifts_no_further_than_roundings_can(steps, numpy_port, run_on, port_of):
    held_to = {dtype: contracts.default(dtype) for dtype in ("float64", "float32")}
    results = derived.results(port_of(numpy_port.run), steps, held_to)
    assert len(results) >= 4 and all(r.status == "passed" for r in results)
    assert {r.case.flag for r in results} == {"drift"}


def test_a_port_that_loses_a_little_at_each_step_drifts_too_far(steps, numpy_port, port_of):
    def run(op, t, attrs):
        out = numpy_port.run(op, t, attrs)
        return {name: x * x.dtype.type(1 - 1e-3) if name.startswith("v.") else x for name, x in out.items()}

    held_to = {dtype: contracts.default(dtype) for dtype in ("float64", "float32")}
    results = derived.results(port_of(run), steps, held_to)
    assert any(r.status == "failed" for r in results)


def test_they_are_part_of_a_check_when_asked_for(linear, numpy_port, port_of):
    few = [c for c in linear if c.session is None and c.lane == "certified"]
    port = port_of(numpy_port.run)
    alone, both = checker.check(port, few), checker.check(port, few, related=True)
    only = checker.check(port, few, related=True, stored=False)
    assert both.passed and only.passed
    assert len(both.results) == len(alone.results) + len(only.results) == both.selected
    assert {r.case.lane for r in only.results} == {"property"}
