"""Finding the first stage of a net's operation at which a port diverges.

Two ways, each blind to what the other sees. The stages are recomputed on the port's own tensors, as far as it returned
them (`local`). And each operation of the net is put to the port by itself, on the true values of all that comes before
it: that needs no intermediates, but the port must do those operations.
"""

from itertools import takewhile
from typing import NamedTuple

import numpy as np

from nsn_ref.errors import NeedMorePrecision, OptionError
from nsn_ref.golden import check as checker
from nsn_ref.golden import schema, truth
from nsn_ref.golden.declared import contract_of
from nsn_ref.golden.stages import stages
from nsn_ref.golden.suite import Output, SuiteCase


class Bisection(NamedTuple):
    """What was found about one case."""

    whole: object  # CaseResult; in a session, after the calls before it
    alone: object  # CaseResult of a case that fails in its session, as a single call; else None
    own: tuple  # (stage, TensorResult): recomputed on the port's own tensors
    fed: tuple  # (stage, CaseResult): single operations on true values

    @property
    def first(self):
        """One sentence: the first stage that diverges; None if nothing does."""
        if self.alone is not None and self.alone.status == "passed":
            return "what earlier calls of the session left behind: as a single call the case passes"
        for stage, tensor in self.own:
            if not tensor.passed:
                return f"{tensor.name}, in {stage}, from the port's own inputs to it"
        for stage, result in self.fed:
            if result.status == "failed":
                return f"{stage}, from true inputs"
        wrong = [tensor.name for tensor in self.whole.tensors if not tensor.passed]
        if wrong:
            return f"{wrong[0]}, the first wrong tensor in the order of computation"
        return self.whole.error


def case_named(cases, case_id):
    """The case of that id.

    Raises
    ------
    OptionError
    """
    for case in cases:
        if case.id == case_id:
            return case
    alike = [case.id for case in cases if case_id and case_id.rpartition("/")[2] in case.id][:3]
    hint = f"; there is {', '.join(alike)}" if alike else ""
    raise OptionError(f"golden bisect: no case {case_id!r} among {len(cases)}{hint}")


def bisect(port, case, cases=()):
    """Look for the first stage at which a port diverges.

    Parameters
    ----------
    port : PythonPort, IsolatedPort or ProgramPort
    case : SuiteCase
    cases : sequence of SuiteCase
        The suite. Of a session, the calls before this one are made first, on the same object.

    Returns
    -------
    Bisection

    Raises
    ------
    PortError, OptionError
    """
    contract = contract_of(port.contract, case.dtype)
    *_, whole = checker.check(port, [*_earlier(case, cases), case]).results
    alone = None
    if case.session is not None and whole.status == "failed":
        (alone,) = checker.check(port, [case._replace(session=None)]).results
    calls = list(_calls(case, contract))
    fed = [checker.judge(call, answer) for call, answer in port.answers([call for _, call in calls])]
    labels = [label for label, _ in calls]
    return Bisection(whole, alone, whole.local, tuple(zip(labels, fed, strict=True)))


def _earlier(case, cases):
    """The calls of the case's session before it."""
    session = [] if case.session is None else [c for c in cases if c.session == case.session]
    return list(takewhile(lambda c: c.id != case.id, session))


def _calls(case, contract):
    """Every operation of the net, on true values rounded to the case's dtypes, with its own truth and bounds."""
    tensors = dict(case.inputs)
    for name, output in case.outputs.items():
        tensors.setdefault(name, output.expected.astype(np.dtype(output.dtype)))
    made = []

    def call(op, inputs, attrs):
        inputs = {name: np.asarray(x) for name, x in inputs.items()}
        expected = truth.expected(op, inputs, attrs)
        declared = schema.operation(op).tensors("outputs", attrs)
        try:
            bounds = truth.bounds(op, "certified", contract, inputs, attrs, expected)
        except NeedMorePrecision:  # a decision that rounding may overturn: nothing can be asked of the port here
            bounds = {name: np.full(x.shape, np.inf) for name, x in expected.items()}
        outputs = {
            name: Output(
                schema.stored_as(declared[name], case.dtype), declared[name].optional, expected[name], bounds[name]
            )
            for name in declared
        }
        single = SuiteCase(
            f"{case.id}: {op} {len(made)}",
            op,
            "certified",
            case.dtype,
            None,
            attrs,
            case.flag,
            case.why,
            inputs,
            outputs,
        )
        made.append(single)
        return {name: output.expected.astype(np.dtype(output.dtype)) for name, output in outputs.items()}

    for stage in stages(case.op, case.attrs):
        start = len(made)
        stage.run(call, tensors)
        for k, single in enumerate(made[start:], start=1):
            rank = f" at rank {single.attrs['rank']}" if "rank" in single.attrs else ""
            yield f"{stage.what}{rank}{f', call {k}' if len(made) - start > 1 else ''}", single
