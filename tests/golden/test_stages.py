"""Nets judged stage by stage, on the port's own tensors and on true ones: the first stage that is wrong is named."""

import numpy as np
import pytest

from nsn_ref.golden import bisect, contracts, html, local, report
from nsn_ref.golden import check as checker
from nsn_ref.golden.evaluate import as_arrays, evaluate, reference
from nsn_ref.golden.stages import NETS, stages


def case_of(cases, case_id):
    return next(case for case in cases if case.id == case_id)


def one_of_each(cases, dtype):
    """A case of every net, of each activation and head among the small ones."""
    nets = [c for c in cases if c.op in NETS and c.dtype == dtype and c.session is None and "digits" not in c.id]
    kinds = {(c.op, c.attrs["activation"], c.attrs["head"]): c for c in nets}
    return list(kinds.values())


def answer(case):
    """The reference's own answer, in the case's dtypes."""
    named = as_arrays(evaluate(reference(), case.op, case.inputs, case.attrs))
    return {name: np.asarray(named[name]).astype(output.dtype) for name, output in case.outputs.items()}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_output_of_a_net_belongs_to_one_stage_in_the_order_of_computation(dtype, cases):
    chosen = one_of_each(cases, dtype)
    assert {c.op for c in chosen} == NETS.keys()
    for case in chosen:
        made = [name for stage in stages(case.op, case.attrs) for name in stage.outputs]
        assert sorted(made) == sorted(case.outputs)


def test_stages_run_in_floats_give_what_the_operation_gives(cases):
    """The composition of the stages is the net: the same code in another order, so equal but for roundings."""
    for case in one_of_each(cases, "float64"):
        tensors = dict(case.inputs)
        made = {}
        for stage in stages(case.op, case.attrs):
            outputs = stage.run(lambda op, t, attrs: as_arrays(evaluate(reference(), op, t, attrs)), tensors)
            made |= outputs
            tensors = outputs | tensors
        for name, output in case.outputs.items():
            np.testing.assert_allclose(np.asarray(made[name]), output.expected, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_right_answer_passes_every_stage(dtype, cases):
    for case in one_of_each(cases, dtype):
        judged = local.judge(case, answer(case), contracts.default(dtype)).results
        assert [t.name for _, t in judged if not t.passed] == []
        assert {t.name for _, t in judged} == case.outputs.keys()


def test_without_intermediates_their_errors_are_carried_along(cases):
    """Then the bound of what follows is wider, but not useless."""
    case = case_of(cases, "mlp_step/f32/gelu-001")
    outputs = answer(case)
    needed = {name: x for name, x in outputs.items() if not case.outputs[name].optional}
    judged = {t.name: t for _, t in local.judge(case, needed, contracts.default("float32")).results}
    with_all = {t.name: t for _, t in local.judge(case, outputs, contracts.default("float32")).results}
    assert judged.keys() == needed.keys() and all(t.passed for t in judged.values())
    assert judged["grad.layers.0.A"].bound > 2 * with_all["grad.layers.0.A"].bound


@pytest.mark.parametrize("name", ["h.0", "z.0", "a.0", "logits", "losses", "dlogits", "dz.0", "grad.layers.1.A", "m.s"])
def test_the_first_tensor_that_is_wrong_by_itself_is_named(name, cases):
    """Later ones follow from it, and are right on their own terms."""
    case = case_of(cases, "mlp_step/f64/gelu-001")
    outputs = answer(case)
    outputs[name] = outputs[name] * (1 + 1e-9)
    wrong = [t.name for _, t in local.judge(case, outputs, contracts.default("float64")).results if not t.passed]
    assert wrong[0] == name
    assert set(wrong) <= {name} | FOLLOWING.get(name, set())


# what is recomputed from the changed tensor, but was itself computed from the right one
FOLLOWING = {
    "z.0": {"a.0", "dz.0"},
    "a.0": {"h.1", "logits", "grad.layers.1.A", "grad.layers.1.B"},
    "logits": {"losses", "dlogits"},
    "losses": {"total", "grad.s"},
    "dlogits": {"da.0", "grad.layers.1.A", "grad.layers.1.B", "grad.layers.1.b"},
    "dz.0": {"grad.layers.0.A", "grad.layers.0.B", "grad.layers.0.b"},
    "grad.layers.1.A": {"param.layers.1.A", "m.layers.1.A", "v.layers.1.A"},
}


def test_a_tensor_that_is_not_a_number_does_not_hide_the_rest(cases):
    case = case_of(cases, "mlp_step/f64/gelu-001")
    outputs = answer(case)
    outputs["z.0"] = outputs["z.0"] * np.nan
    wrong = [t.name for _, t in local.judge(case, outputs, contracts.default("float64")).results if not t.passed]
    assert wrong == ["z.0"]


def near_zero(case):
    """The reference's answer with one z that rounding may push below 0."""
    outputs = answer(case)
    at = np.unravel_index(np.argmax(outputs["z.0"]), outputs["z.0"].shape)
    outputs["z.0"][at] = 1e-40
    return outputs


def test_what_a_stage_cannot_decide_is_counted_with_the_reason(cases):
    case = case_of(cases, "mlp_forward/f32/full-rank-001")
    judged = local.judge(case, near_zero(case), contracts.default("float32"))
    (undecided,) = judged.undecided
    assert undecided[:2] == ("relu_forward after layers.0", "a.0") and "undecided" in undecided.reason
    assert {t.name for _, t in judged.results} == case.outputs.keys() - {"a.0"}


def test_a_stage_after_an_undecided_one_is_undecided_too(cases):
    case = case_of(cases, "mlp_forward/f32/full-rank-001")
    outputs = {name: x for name, x in near_zero(case).items() if name in ("z.0", "logits")}
    judged = local.judge(case, outputs, contracts.default("float32"))
    assert [(u.name, u.reason) for u in judged.undecided] == [
        ("logits", "a.0, which it needs, is undecided and was not returned")
    ]


def test_an_element_without_a_bound_is_undecided_and_the_others_are_judged(cases, monkeypatch):
    case = case_of(cases, "mlp_forward/f32/full-rank-001")
    right = local.rounding.errors

    def one_unbounded(x):
        errors = right(x)
        errors.flat[0] = np.inf
        return errors

    monkeypatch.setattr(local.rounding, "errors", one_unbounded)
    judged = local.judge(case, answer(case), contracts.default("float32"))
    size = case.outputs["z.0"].expected.size
    assert f"1 of {size} elements have no finite bound" in {u.reason for u in judged.undecided}
    assert all(t.passed for _, t in judged.results)
    wrong = {name: x + 1 for name, x in answer(case).items()}
    assert not any(t.passed for _, t in local.judge(case, wrong, contracts.default("float32")).results)


def test_every_report_shows_how_many_are_undecided(cases, port_of):
    case = case_of(cases, "mlp_forward/f32/full-rank-001")
    result = checker.check(port_of(lambda op, inputs, attrs: near_zero(case)), [case], staged=True)
    assert len(result.undecided) == 1 and "; 1 tensors of stages undecided" in report.verdict(result)
    assert "4 tensors judged, 1 undecided; 1: the sign of" in report.stage_line(result)
    (row,) = report.rows(result)
    assert row.undecided == 1
    made = report.as_json(result, "suite")
    assert made["undecided"] == 1 and made["cases"][0]["undecided"][0]["name"] == "a.0"
    assert "1 undecided" in html.render(result, "suite")


def test_one_rounding_of_what_was_returned_is_allowed_and_no_more(cases):
    """A port that goes on with what it has in a wider register, and returns that rounded to its format."""
    case = next(c for c in cases if c.id == "mlp_forward/bf16/deep-001")
    wide = {name: np.asarray(x, np.float32) for name, x in case.inputs.items()}
    named = as_arrays(evaluate(reference(), case.op, wide, case.attrs))
    outputs = {name: np.asarray(named[name]).astype(output.dtype) for name, output in case.outputs.items()}
    contract = contracts.default("bfloat16")
    assert all(t.passed for _, t in local.judge(case, outputs, contract).results)
    outputs["a.0"] = (outputs["a.0"].astype(np.float32) * 1.05).astype(outputs["a.0"].dtype)  # six roundings
    wrong = {t.name for _, t in local.judge(case, outputs, contract).results if not t.passed}
    assert "a.0" in wrong


def test_a_bound_of_one_stage_catches_what_that_of_the_chain_lets_pass(cases, numpy_port, port_of):
    """An error of a few roundings in an early stage: the chain's bound on the same tensor is far wider."""
    case = case_of(cases, "mlp_step/f32/deep-001")
    outputs = answer(case)
    end_to_end = {name: o.bound.max() for name, o in case.outputs.items()}
    by_stage = {t.name: t.bound for _, t in local.judge(case, outputs, contracts.default("float32")).results}
    assert by_stage["grad.layers.0.A"] < end_to_end["grad.layers.0.A"] / 5


def test_short_formats_are_judged_by_stages_and_others_when_asked_for(cases, numpy_port, port_of):
    case = case_of(cases, "mlp_forward/f32/deep-001")
    port = port_of(numpy_port.run)
    assert not checker.check(port, [case]).results[0].local
    assert checker.check(port, [case], staged=True).results[0].local
    assert not checker.check(port, [case], staged=False).results[0].local


def test_two_processes_give_what_one_gives(cases, monkeypatch):
    case = case_of(cases, "mlp_forward/f32/deep-001")
    jobs = [(case, answer(case), contracts.default("float32"))] * 3
    alone = local.judge_all(jobs)
    monkeypatch.setattr(local, "ENOUGH", 2)
    assert local.judge_all(jobs) == alone and len(alone) == 3
    monkeypatch.setattr(local, "_in_another_process", lambda jobs: None)  # it died: its share is done here
    assert local.judge_all(jobs) == alone


# --- bisection --------------------------------------------------------------------------------------------------------


def wrong_activation(port):
    right = port.ACTIVATIONS["relu"]
    port.ACTIVATIONS["relu"] = lambda z: (right(z)[0] * (1 + 1e-3), right(z)[1])


def test_bisect_by_the_port_s_own_tensors(cases, numpy_port, port_of):
    wrong_activation(numpy_port)
    found = bisect.bisect(port_of(numpy_port.run), case_of(cases, "mlp_step/f32/relu-001"))
    assert found.first == "a.0, in relu_forward after layers.0, from the port's own inputs to it"


def test_bisect_by_single_operations_where_no_intermediate_is_returned(cases, numpy_port, port_of):
    """The port returns what it must, and its chain is right: only the operation by itself is wrong."""

    def run(op, inputs, attrs):
        outputs = numpy_port.run(op, inputs, attrs)
        if op == "softmax_cross_entropy_backward":
            return {"dz": outputs["dz"] * 2}
        return {name: x for name, x in outputs.items() if name[:2] not in ("h.", "z.", "a.")}

    found = bisect.bisect(port_of(run), case_of(cases, "mlp_step/f32/relu-001"))
    assert found.whole.status == "passed"
    assert found.first == "softmax_cross_entropy_backward, call 1, from true inputs"


def test_bisect_finds_nothing_in_a_right_port(cases, numpy_port, port_of):
    for case_id in ("mlp_step/f32/gelu-001", "convnet_step/f32/relu-001", "objective_forward/f64/far-001"):
        assert bisect.bisect(port_of(numpy_port.run), case_of(cases, case_id)).first is None


def test_bisect_of_an_operation_without_stages_names_the_first_wrong_tensor(cases, numpy_port, port_of):
    def run(op, inputs, attrs):
        outputs = numpy_port.run(op, inputs, attrs)
        return outputs | {"dA": outputs["dA"] + 1}

    found = bisect.bisect(port_of(run), case_of(cases, "nested_linear_backward/f64/interior-rank-001"))
    assert found.first == "dA, the first wrong tensor in the order of computation"


@pytest.fixture
def last_of_a_session(cases):
    """The last call of the first session that trains."""
    session = next(c.session for c in cases if c.session is not None and c.dtype == "float32")
    return [c for c in cases if c.session == session][-1]


def test_bisect_makes_the_calls_before_the_case_in_its_session(cases, last_of_a_session, numpy_port, port_of):
    seen = []

    class Session:
        def __init__(self, attrs):
            self.count = 0

        def call(self, op, inputs, attrs):
            self.count += 1
            seen.append(op)
            outputs = numpy_port.run(op, inputs, attrs)
            return {name: x + np.asarray(self.count - 1, x.dtype) for name, x in outputs.items()}  # a stale counter

    port = port_of(numpy_port.run, open=Session)
    found = bisect.bisect(port, last_of_a_session, cases)
    session = [c for c in cases if c.session == last_of_a_session.session]
    assert seen == [c.op for c in session] and len(seen) > 1
    assert found.whole.status == "failed" and found.alone.status == "passed"
    assert found.first == "what earlier calls of the session left behind: as a single call the case passes"
    right = port_of(numpy_port.run, open=lambda attrs: numpy_port.open(attrs))
    assert bisect.bisect(right, last_of_a_session, cases).first is None
