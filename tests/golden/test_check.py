"""The checker is checked: what is wrong must be refused, and named."""

import re

import numpy as np
import pytest

from nsn_ref import kernels
from nsn_ref.errors import OptionError
from nsn_ref.golden import check as checker
from nsn_ref.golden import ports, report


@pytest.fixture
def linear(cases):
    """Cases whose A is not square: there a transposed gradient has another shape."""
    backward = [case for case in cases if case.op == "nested_linear_backward" and case.session is None]
    return [case for case in backward if len(set(case.inputs["A"].shape)) == 2]


def changed(numpy_port, change):
    """The NumPy port with a change made to its outputs."""

    def run(op, inputs, attrs):
        outputs = numpy_port.run(op, inputs, attrs)
        change(outputs, inputs)
        return outputs

    return run


def zeros(outputs, inputs):
    for name in outputs:
        outputs[name] = np.zeros_like(outputs[name])


def nan(outputs, inputs):
    for name in outputs:
        outputs[name] = outputs[name] * np.nan


def one_nan(outputs, inputs):
    outputs["dB"].flat[0] = np.nan


def infinite(outputs, inputs):
    outputs["dA"].flat[0] = np.inf


def stale_row(outputs, inputs):
    outputs["dx"] = outputs["dx"].copy()
    outputs["dx"][-1] = inputs["x"][-1]


def doubled(outputs, inputs):
    outputs["db"] = 2 * outputs["db"]


def integers(outputs, inputs):
    outputs["dA"] = np.zeros(outputs["dA"].shape, np.int16)


def other_float(outputs, inputs):
    outputs["dA"] = outputs["dA"].astype(np.float32 if outputs["dA"].dtype == np.float64 else np.float64)


def transposed(outputs, inputs):
    outputs["dA"] = outputs["dA"].T


def transposed_values(outputs, inputs):
    outputs["dA"] = outputs["dA"].T.reshape(outputs["dA"].shape)


def extra_axis(outputs, inputs):
    outputs["db"] = outputs["db"][None]


def missing(outputs, inputs):
    del outputs["db"]


def undeclared(outputs, inputs):
    outputs["dW"] = outputs["dA"]


def a_list(outputs, inputs):
    outputs["db"] = outputs["db"].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (integers, "dA has dtype int16, expected b?float"),
        (other_float, "dA has dtype float"),
        (transposed, r"dA has shape \(.*\), expected"),
        (extra_axis, r"db has shape \(1, "),
        (missing, "db is missing"),
        (undeclared, "undeclared tensor 'dW', expected only dx, dA, dB, db"),
        (a_list, "db is a list, expected a numpy array"),
    ],
)
def test_a_wrong_form_is_refused_and_named(change, message, linear, numpy_port, port_of):
    result = checker.check(port_of(changed(numpy_port, change)), linear)
    assert result.count("failed") == len(linear) and result.exit_status == 1
    for case in result.results:
        assert re.search(message, case.error)


@pytest.mark.parametrize("change", [zeros, nan, one_nan, infinite, stale_row, doubled, transposed_values])
def test_wrong_numbers_are_refused(change, linear, numpy_port, port_of):
    result = checker.check(port_of(changed(numpy_port, change)), linear)
    assert result.count("failed") == len(linear) and result.exit_status == 1


def test_the_worst_element_is_named(linear, numpy_port, port_of):
    def change(outputs, inputs):
        outputs["dB"][1, 0] += 0.25

    case = next(c for c in linear if c.id == "nested_linear_backward/f64/interior-rank-001")
    (result,) = checker.check(port_of(changed(numpy_port, change)), [case]).results
    (bad,) = [t for t in result.tensors if not t.passed]
    want = case.outputs["dB"]
    assert (bad.name, bad.index) == ("dB", (1, 0)) and bad.expected == want.expected[1, 0]
    assert bad.bound == want.bound[1, 0] and abs(bad.got - bad.expected - 0.25) < 1e-12
    assert abs(bad.rho * bad.bound - 0.25) < 1e-12


def test_one_bit_beyond_the_bound_fails_and_the_bound_itself_passes(linear):
    case = linear[0]
    outputs = {name: output.expected + output.bound for name, output in case.outputs.items()}
    for name, output in case.outputs.items():  # the sum rounds: step back inside where it rounded outwards
        outside = ~(np.abs(outputs[name] - output.expected) <= output.bound)
        outputs[name][outside] = np.nextafter(outputs[name][outside], output.expected[outside])
    assert checker.judge(case, ports.Answer(outputs)).status == "passed"
    worse = {name: output.expected + 1.5 * output.bound for name, output in case.outputs.items()}
    assert checker.judge(case, ports.Answer(worse)).status == "failed"


def test_a_broken_bound_is_noticed(linear):
    """A bound that is not a number or negative accepts nothing; one that accepts everything judges nothing."""
    case = linear[0]
    exact = {name: output.expected for name, output in case.outputs.items()}
    assert checker.judge(case, ports.Answer(exact)).status == "passed"
    for value in (np.nan, -1.0):
        broken = {name: o._replace(bound=np.full_like(o.bound, value)) for name, o in case.outputs.items()}
        assert checker.judge(case._replace(outputs=broken), ports.Answer(exact)).status == "failed"
    endless = {name: o._replace(bound=np.full_like(o.bound, np.inf)) for name, o in case.outputs.items()}
    assert checker.judge(case._replace(outputs=endless), ports.Answer(exact)).status == checker.NO_BOUND


# --- planted bugs, each caught by the case that is there for it -------------------------------------------------------


def failed(result):
    return {r.case.id for r in result.results if r.status == "failed"}


def test_a_rank_that_is_off_by_one_is_caught(cases, numpy_port, port_of):
    right = numpy_port.layer
    numpy_port.layer = lambda x, A, B, b, r: right(x, A, B, b, max(r - 1, 1))
    result = checker.check(port_of(numpy_port.run), [c for c in cases if c.op == "nested_linear_forward"])
    assert {r.case.id.rpartition("/")[2] for r in result.results if r.status == "passed"} == {"rank-one-001"}


def test_log_variances_by_position_are_caught(cases, numpy_port, port_of):
    right = numpy_port.objective_forward

    def by_position(t, attrs):
        s = np.zeros_like(t["s"])
        s[np.array(attrs["ranks"]) - 1] = t["s"][: len(attrs["ranks"])]
        return right({**t, "s": s}, attrs)

    numpy_port.OPERATIONS["objective_forward"] = by_position
    # in short formats some cases have log-variances too near each other to tell
    chosen = [c for c in cases if c.op == "objective_forward" and c.dtype in ("float64", "float32")]
    assert failed(checker.check(port_of(numpy_port.run), chosen)) == {c.id for c in chosen}


def test_a_clipped_rank_is_caught_by_its_case_alone(cases, numpy_port, port_of):
    right = numpy_port.layer
    numpy_port.layer = lambda x, A, B, b, r: right(x, A, B, b, min(r, A.shape[1], B.shape[0]))
    wide = [c for c in cases if "rank-above-width" in c.id and c.op.endswith("forward")]
    assert failed(checker.check(port_of(numpy_port.run), wide)) == {c.id for c in wide}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("decay of s", lambda port: wrong_adamw(port, decay=lambda decay, attrs: attrs["weight_decay"])),
        ("eps under the root", lambda port: wrong_adamw(port, eps=lambda eps: eps * 1.5)),
        ("no bias correction", lambda port: wrong_adamw(port, t=lambda t: 10**6)),
        ("one step late", lambda port: wrong_adamw(port, t=lambda t: t + 1)),
        ("erf and tanh swapped", lambda port: port.ACTIVATIONS.update(gelu=port.gelu_tanh)),
        ("mean over the classes", lambda port: wrong_mean(port)),
    ],
)
def test_mistakes_in_the_training_step_are_caught(name, wrong, cases, numpy_port, port_of):
    wrong(numpy_port)
    chosen = [c for c in cases if c.op == "mlp_step" and c.id.rpartition("/")[2] in ("relu-001", "gelu-001")]
    assert failed(checker.check(port_of(numpy_port.run), chosen))


def wrong_adamw(port, decay=lambda decay, attrs: decay, eps=lambda eps: eps, t=lambda t: t):
    right = port.adamw

    def adamw(p, g, m, v, d, attrs):
        return right(p, g, m, v, decay(d, attrs), {**attrs, "eps": eps(attrs["eps"]), "t": t(attrs["t"])})

    port.adamw = adamw


def wrong_mean(port):
    right = port.softmax_cross_entropy_forward
    port.softmax_cross_entropy_forward = lambda t, attrs: {"loss": right(t, attrs)["loss"] * (1 + 1e-5)}


# --- coverage, selection, early stop ----------------------------------------------------------------------------------


def nested_only(numpy_port):
    def run(op, inputs, attrs):
        if not op.startswith("nested"):
            raise NotImplementedError(op)
        return numpy_port.run(op, inputs, attrs)

    return run


def test_what_is_not_covered_is_counted_and_may_be_required(cases, numpy_port, port_of):
    port = port_of(nested_only(numpy_port))
    cases = checker.select(cases, dtype="float32")
    result = checker.check(port, cases)
    assert result.passed and 0 < result.count("not covered") == len(cases) - result.covered
    nested = {c.op for c in cases if c.op.startswith("nested")}
    assert f"operations covered: {len(nested)} of {len({c.op for c in cases})}" in report.verdict(result)
    nested_calls = ["nested_linear_*/f32/interior-rank-001", "nested_linear_*/f32/cancelling-001"]
    assert checker.check(port, cases, require=nested_calls).passed
    required = checker.check(port, cases, require=[*nested_calls, "mlp_step/f32/*"])
    assert not required.passed and all(i.startswith("mlp_step/f32/") for i in required.missing)
    count = sum(c.id.startswith("mlp_step/f32/") for c in cases)
    assert f"required but not covered: {count}, the first mlp_step/f32/relu-001" in report.verdict(required)


def test_a_port_that_covers_nothing_does_not_pass(cases, port_of):
    def run(op, inputs, attrs):
        raise NotImplementedError

    result = checker.check(port_of(run), cases)
    assert result.exit_status == 1 and "covers nothing" in report.verdict(result)


def test_a_requirement_that_matches_nothing_is_a_mistake(cases, port_of):
    with pytest.raises(OptionError, match=r"--require fast.* matches none"):
        checker.check(port_of(lambda *args: {}), cases, require=["fast*"])


@pytest.mark.parametrize("error", [ValueError("bad\nworse"), SystemExit(3), ZeroDivisionError(), KeyError("x")])
def test_a_port_that_raises_fails_that_case(error, cases, port_of):
    def run(op, inputs, attrs):
        raise error

    result = checker.check(port_of(run), cases[:3])
    assert result.count("failed") == 3
    assert result.results[0].error.startswith(f"the port raised {type(error).__name__}")
    assert "\n" not in result.results[0].error


@pytest.mark.parametrize("outputs", [None, [], 3.0, {}])
def test_a_port_that_returns_no_dict_of_its_outputs_fails(outputs, cases, port_of):
    assert checker.check(port_of(lambda op, inputs, attrs: outputs), cases[:3]).count("failed") == 3


def test_stopping_at_the_first_failure(cases, port_of):
    result = checker.check(port_of(lambda op, inputs, attrs: {}), cases, stop_at_first=True)
    assert len(result.results) == 1 and f"stopped after 1 of {len(cases)} cases" in report.verdict(result)


def test_selection(cases):
    chosen = checker.select(cases, op="multirank*", lane="exact", dtype="float32")
    assert {(c.lane, c.dtype) for c in chosen} == {("exact", "float32")} and chosen
    for name, wrong in ("op", "fast"), ("lane", "fast"), ("dtype", "bfloat17"):
        with pytest.raises(OptionError, match=f"no case has {name} {wrong}. There is {name}: [^;]*$"):
            checker.select(cases, **{name: wrong})
    with pytest.raises(OptionError, match=r"no case has lane exact, dtype int8. There is lane: .*; dtype: "):
        checker.select(cases, lane="exact", dtype="int8")


def test_intermediates_are_optional_but_judged(cases, numpy_port, port_of):
    chosen = [c for c in cases if c.op == "nested_linear_forward"]
    assert checker.check(port_of(numpy_port.run), chosen).passed

    def with_h(op, inputs, attrs):
        return numpy_port.run(op, inputs, attrs) | {"h": inputs["x"] @ inputs["A"][: attrs["rank"]].T * (1 + 1e-3)}

    assert failed(checker.check(port_of(with_h), chosen)) >= {c.id for c in chosen if c.lane == "exact"}


# --- the project's own ports ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reference", "engine"])
def test_own_ports_pass_everything(name, cases):
    result = checker.check(ports.load(f"nsn_ref.golden.own_ports:{name}"), cases, require=["*"])
    assert result.passed and result.covered == len(cases), report.verdict(result)


@pytest.mark.parametrize("kernel", ["nested_linear_forward", "objective_backward", "dense_backward", "adamw_step"])
def test_the_engine_is_the_kernels(kernel, cases, monkeypatch):
    """With one kernel broken the engine fails: what has a kernel is not computed by the reference."""

    def broken(*args, **options):
        raise ArithmeticError("broken")

    monkeypatch.setattr(kernels, kernel, broken)
    few = [
        c for c in cases if c.dtype == "float32" and c.id.endswith(("interior-rank-001", "far-001", "dense-head-001"))
    ]
    assert checker.check(ports.load("nsn_ref.golden.own_ports:engine"), few, staged=False).count("failed")
    assert checker.check(ports.load("nsn_ref.golden.own_ports:reference"), few, staged=False).passed
