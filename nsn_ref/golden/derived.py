"""Results that need no stored output: relations between answers of a port, and training that runs on its own state.

A relation holds between exact results. The port's lie within their bounds, so they may miss it by the sum of those
bounds, and by no more. The inputs are those of one certified case for each operation and format.

A free trajectory feeds each step with the parameters and moments that the port itself returned for the step before.
What it is compared with, and the bound on its drift, is one evaluation of all steps over numbers with error bounds.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nsn_ref.certify import rounding
from nsn_ref.errors import NeedMorePrecision, NonFiniteError
from nsn_ref.golden import check as checker
from nsn_ref.golden import compare, truth
from nsn_ref.golden.evaluate import as_arrays, evaluate, reference
from nsn_ref.golden.suite import Output
from nsn_ref.golden.tensors import is_float

STATE = ("param.", "m.", "v.")
DRIFT = ("float64", "float32")  # in shorter formats a bound on several steps says nothing


class Relation(NamedTuple):
    """Calls, and what their answers must satisfy."""

    case: object  # SuiteCase: says what is checked
    calls: tuple  # SuiteCase
    gap: Callable  # (outputs of each call) to a dict of arrays that are 0 for exact results
    allowed: Callable  # (bounds of each call) to a dict of how far from 0 they may be


def results(port, cases, held_to):
    """A CaseResult for each relation and each step of a free trajectory.

    Parameters
    ----------
    port : PythonPort, IsolatedPort or ProgramPort
    cases : sequence of SuiteCase
        The inputs come from these.
    held_to : dict of str to Contract
        By format.

    Returns
    -------
    list of CaseResult
    """
    made = list(relations(cases))
    calls = [call for relation in made for call in relation.calls]
    answers = iter([answer for _, answer in port.answers(calls)])
    judged = [_related(relation, [next(answers) for _ in relation.calls], held_to) for relation in made]
    return judged + [result for steps in trajectories(cases) for result in _free(port, steps, held_to)]


# --- relations --------------------------------------------------------------------------------------------------------


def relations(cases):
    """Every relation that the cases have inputs for."""
    taken = set()
    for case in cases:
        made = _RELATIONS.get(case.op)
        if made is None or case.lane != "certified" or (case.op, case.dtype) in taken:
            continue
        taken.add((case.op, case.dtype))
        for name, why, make in made:
            prefix, _, rest = case.id.partition("/")
            about = case._replace(id=f"{prefix}/{rest.partition('/')[0]}/{name}", lane="property", flag=name, why=why)
            yield Relation(about, *make(about))


def _call(case, inputs, **attrs):
    return case._replace(inputs={**case.inputs, **inputs}, attrs={**case.attrs, **attrs})


def _components(case):
    """y at rank r + 1, less y at rank r."""
    r = min(case.attrs["rank"], len(case.inputs["A"]) - 1)
    t = {name: np.asarray(x, np.float64) for name, x in case.inputs.items()}
    term = (t["x"] @ t["A"][r])[..., None] * t["B"][:, r]
    calls = _call(case, {}, rank=r), _call(case, {}, rank=r + 1)
    return calls, lambda low, high: {"y": high["y"] - low["y"] - term}, _sum_of("y")


def _gauge(case):
    """The same layer with a_i scaled by 2 and b_i by 1/2, 4 and 1/4, ..."""
    scale = 2.0 ** (np.arange(len(case.inputs["A"])) % 3 - 1)
    A, B = case.inputs["A"], case.inputs["B"]
    changed = {"A": (A * scale[:, None]).astype(A.dtype), "B": (B / scale).astype(B.dtype)}
    return (_call(case, {}), _call(case, changed)), lambda a, b: {"y": a["y"] - b["y"]}, _sum_of("y")


def _unused(case):
    """Other components above the rank."""
    r, changed = case.attrs["rank"], {name: case.inputs[name].copy() for name in "AB"}
    changed["A"][r:], changed["B"][:, r:] = 1, -2
    return (_call(case, {}), _call(case, changed)), lambda a, b: {"y": a["y"] - b["y"]}, _sum_of("y")


def _rows(case):
    """The batch in reverse order."""
    x = case.inputs["x"][::-1].copy()
    return (_call(case, {}), _call(case, {"x": x})), lambda a, b: {"y": a["y"] - b["y"][::-1]}, _sum_of("y")


def _doubled(case):
    """Twice the cotangent."""
    names = ("dx", "dA", "dB", "db")
    calls = _call(case, {}), _call(case, {"dy": (case.inputs["dy"] * 2).astype(case.inputs["dy"].dtype)})
    return (
        calls,
        lambda a, b: {name: b[name] - 2 * a[name] for name in names},
        lambda a, b: {name: b[name] + 2 * a[name] for name in names},
    )


def _zeros(case):
    """Gradients of the components above the rank."""
    r = case.attrs["rank"]

    def unused(outputs):
        return {"dA": outputs["dA"][r:], "dB": outputs["dB"][:, r:]}

    return (_call(case, {}),), unused, lambda bounds: {name: 0 * x for name, x in unused(bounds).items()}


def _passes(case):
    """K ranks in one pass, less the sum of K passes."""
    names, ranks = ("dx", "dA", "dB", "db"), case.attrs["ranks"]
    single = [
        case._replace(
            op="nested_linear_backward",
            inputs={name: x for name, x in case.inputs.items() if name != "dys"} | {"dy": case.inputs["dys"][k]},
            attrs={"rank": r},
        )
        for k, r in enumerate(ranks)
    ]
    return (
        (_call(case, {}), *single),
        lambda whole, *parts: {name: whole[name] - sum(part[name] for part in parts) for name in names},
        lambda whole, *parts: {name: whole[name] + sum(part[name] for part in parts) for name in names},
    )


def _sum_of(name):
    return lambda a, b: {name: a[name] + np.broadcast_to(b[name], a[name].shape)}


_RELATIONS = {
    "nested_linear_forward": (
        ("one-more-component", "The outputs at ranks r + 1 and r do not differ by b_(r+1) (a_(r+1) . x).", _components),
        ("gauge", "The output changes when a_i is scaled and b_i unscaled by a power of two.", _gauge),
        ("unused-components", "The output depends on components above the rank.", _unused),
        ("rows", "The output of a row depends on where it stands in the batch.", _rows),
    ),
    "nested_linear_backward": (
        ("doubled-cotangent", "Twice the cotangent does not give twice the gradients.", _doubled),
        ("unused-gradients", "Components above the rank have a gradient that is not exactly zero.", _zeros),
    ),
    "multirank_linear_backward": (
        ("sum-of-passes", "The gradients of K ranks in one pass are not the sum of those of K passes.", _passes),
    ),
}  # fmt: skip


def _related(relation, answers, held_to):
    case = relation.case
    if any(not answer.covered for answer in answers):
        return checker.CaseResult(case, "not covered")
    for call, answer in zip(relation.calls, answers, strict=True):
        expected = _evaluated(call)
        if error := answer.error or checker.form_error(
            _expecting(call, expected, expected, case.dtype), answer.outputs
        ):
            return checker.CaseResult(case, "failed", error)
    bounds = [_bounds(call, held_to[case.dtype]) for call in relation.calls]
    with np.errstate(invalid="ignore", over="ignore"):
        outputs = [{name: np.asarray(x, np.float64) for name, x in answer.outputs.items()} for answer in answers]
        gaps, allowed = relation.gap(*outputs), relation.allowed(*bounds)
    tensors = tuple(
        compare.tensor(name, gap, np.zeros(gap.shape), allowed[name] * (1 + 2.0**-20) + _last_bits(outputs, gap, name))
        for name, gap in gaps.items()
        if gap.size
    )
    if any(np.isposinf(allowed[name]).all() for name in gaps):
        return checker.CaseResult(case, checker.NO_BOUND, None, tensors)
    return checker.CaseResult(case, "passed" if all(t.passed for t in tensors) else "failed", None, tensors)


def _last_bits(outputs, gap, name):
    """For the float64 arithmetic of the gap itself; none where a zero must be exact."""
    if len(outputs) == 1:
        return 0.0
    largest = max(np.abs(each[name]).max(initial=0) for each in outputs)
    return 64 * len(outputs) * truth.UNIT_ROUNDOFF * largest


def _evaluated(call):
    inputs = {name: x.astype(np.float64) if is_float(x) else x for name, x in call.inputs.items()}
    return as_arrays(evaluate(reference(), call.op, inputs, call.attrs))


def _bounds(call, contract):
    try:
        return truth.bounds(call.op, "certified", contract, call.inputs, call.attrs, _evaluated(call))
    except NeedMorePrecision:
        return {name: np.full(x.shape, np.inf) for name, x in _evaluated(call).items()}


def _expecting(call, expected, bounds, dtype):
    """The call as a case with these outputs."""
    from nsn_ref.golden import schema

    declared = schema.operation(call.op).tensors("outputs", call.attrs)
    outputs = {
        name: Output(schema.stored_as(t, dtype), t.optional, np.asarray(expected[name], np.float64), bounds[name])
        for name, t in declared.items()
    }
    return call._replace(outputs=outputs)


# --- free trajectories ------------------------------------------------------------------------------------------------


def trajectories(cases):
    """Runs of steps in a session, each of which starts where the one before it ended."""
    runs = []
    for case in cases:
        if case.session is None or not case.op.endswith("_step") or case.dtype not in DRIFT:
            continue
        if runs and runs[-1][-1].session == case.session and _continues(runs[-1][-1], case):
            runs[-1].append(case)
        else:
            runs.append([case])
    return [run for run in runs if len(run) > 1]


def _continues(before, case):
    state = [name for name in case.inputs if name.startswith(STATE)]
    return all(name in before.outputs and _is_within(before.outputs[name], case.inputs[name]) for name in state)


def _is_within(output, x):
    return x.shape == output.expected.shape and (np.abs(x.astype(np.float64) - output.expected) <= output.bound).all()


def _free(port, steps, held_to):
    """The steps from the second one on, each from the port's own state."""
    contract = held_to[steps[0].dtype]
    envelope = _drift(steps, contract)
    state, made = {}, []
    for k, (step, bounded) in enumerate(zip(steps, envelope, strict=False)):
        case = bounded._replace(
            id=f"{step.id}/free",
            session=None,
            inputs={**step.inputs, **state},
            flag="drift",
            why="Steps that each start where the port's own step before ended drift further than roundings can.",
        )
        ((_, answer),) = port.answers([case])
        result = checker.judge(case, answer)
        made += [result] if k else []
        if result.answer is None:
            break
        state = {name: answer.outputs[name] for name in case.inputs if name.startswith(STATE)}
    return made


def _drift(steps, contract):
    """The steps with the outputs of a free run and the bounds on its drift, as far as there are any."""
    state, slack = {}, truth.slack(contract)
    with rounding.precision(contract), np.errstate(all="ignore"):
        for step in steps:
            inputs = {name: rounding.rounded(x) if is_float(x) else x for name, x in step.inputs.items()} | state
            try:
                outputs = as_arrays(evaluate(truth.ENVELOPE, step.op, inputs, step.attrs))
            except (NeedMorePrecision, NonFiniteError):
                return
            state = {name: outputs[name] for name in inputs if name.startswith(STATE)}
            values = {name: rounding.values(x) for name, x in outputs.items()}
            errors = {name: slack * rounding.errors(x) for name, x in outputs.items()}
            yield _expecting(step, values, errors, step.dtype)
