"""Running the fuzz: machines against bounds, and what the number of trials proves."""

from typing import NamedTuple

import numpy as np

from nsn_ref.errors import NeedMorePrecision
from nsn_ref.golden import contracts, local, schema, truth
from nsn_ref.golden.check import check
from nsn_ref.golden.fuzz.formulas import run
from nsn_ref.golden.fuzz.inputs import draw
from nsn_ref.golden.fuzz.machine import Machine
from nsn_ref.golden.suite import Output, SuiteCase

AT_ONCE = 200  # trials of one input
SAME = 20  # of them with one choice of formulas and orders; the rest of their arithmetic differs


class Outcome(NamedTuple):
    """Of one operation in one format."""

    op: str
    dtype: str
    trials: int
    rejected: int  # trials with an element outside its bound
    rho: float  # the largest error / bound
    unbounded: int  # inputs drawn that have no bound: a decision that rounding may overturn

    @property
    def upper_bound(self):
        """The 95 % upper bound (Clopper-Pearson) of the share of such trials that are rejected."""
        return upper_bound(self.rejected, self.trials)


def upper_bound(rejected, trials, level=0.95):
    """Clopper-Pearson: the largest share at which so few rejections still have a probability of 1 - level."""
    from scipy.stats import beta

    return 1.0 if rejected >= trials else float(beta.ppf(level, rejected + 1, trials - rejected))


def fuzz(op, dtype, trials, rng, contract=None, bounds_of=truth.bounds):
    """Evaluate an operation `trials` times by machines that keep a contract.

    Parameters
    ----------
    op, dtype : str
    trials : int
        Rounded up to whole batches.
    rng : numpy.random.Generator
    contract : Contract, optional
        Of the machines and the bounds; by default the format's.
    bounds_of : callable
        As `truth.bounds`, which the tests break on purpose.

    Returns
    -------
    Outcome
    """
    contract = contract or contracts.default(dtype)
    done = rejected = unbounded = 0
    worst = 0.0
    while done < trials:
        inputs, attrs = draw(op, dtype, rng)
        try:
            expected = truth.expected(op, inputs, attrs)
            bounds = bounds_of(op, "certified", contract, inputs, attrs, expected)
        except NeedMorePrecision:
            unbounded += 1
            if unbounded > 20 + done:
                raise
            continue
        for _ in range(AT_ONCE // SAME):
            rhos = _rhos(run(Machine(contract, SAME, rng), op, inputs, attrs), expected, bounds)
            rejected += int((~(rhos <= 1)).sum())
            worst = max(worst, float(rhos.max()))
        done += AT_ONCE
    return Outcome(op, dtype, done, rejected, worst, unbounded)


def fuzz_stages(op, dtype, trials, rng, judge=local.judge):
    """As `fuzz`, for a net that returns its intermediates: every stage judged by itself, on the machine's own tensors.

    Parameters
    ----------
    op, dtype : str
    trials : int
        Rounded up to whole batches.
    rng : numpy.random.Generator
    judge : callable
        As `local.judge`, which the tests break on purpose.

    Returns
    -------
    Outcome
        `unbounded` counts tensors that a stage could not decide.
    """
    contract = contracts.default(dtype)
    done = rejected = undecided = 0
    worst = 0.0
    while done < trials:
        inputs, attrs = draw(op, dtype, rng)
        try:
            case = _case(op, dtype, inputs, attrs)
        except NeedMorePrecision:
            continue
        outputs = run(Machine(contract, SAME, rng), op, inputs, attrs)
        for trial in range(SAME):
            answer = {name: x[trial].astype(np.dtype(case.outputs[name].dtype)) for name, x in outputs.items()}
            judged = judge(case, answer, contract)
            rhos = [tensor.rho for _, tensor in judged.results]
            rejected += not all(rho <= 1 for rho in rhos)
            worst = max(worst, *rhos)
            undecided += len(judged.undecided)
        done += SAME
    return Outcome(f"{op} by stages", dtype, done, rejected, worst, undecided)


def fuzz_port(port, op, dtype, trials, rng):
    """As `fuzz`, for a port: its answers to inputs that are drawn anew for each trial.

    Parameters
    ----------
    port : PythonPort
    op, dtype : str
    trials : int
    rng : numpy.random.Generator

    Returns
    -------
    Outcome
        `rejected` counts answers with another error as well; none is asked for what the port does not cover.
    """
    cases, unbounded = [], 0
    while len(cases) < trials:
        try:
            cases.append(_case(op, dtype, *draw(op, dtype, rng)))
        except NeedMorePrecision:
            unbounded += 1
    results = [r for r in check(port, cases, staged=False).results if r.status != "not covered"]
    rejected = sum(result.status == "failed" for result in results)
    return Outcome(op, dtype, len(results), rejected, max((r.rho for r in results), default=0.0), unbounded)


def _case(op, dtype, inputs, attrs):
    """What `local.judge` is asked about."""
    expected = truth.expected(op, inputs, attrs)
    bounds = truth.bounds(op, "certified", dtype, inputs, attrs, expected)
    outputs = {
        name: Output(schema.stored_as(t, dtype), t.optional, expected[name], bounds[name])
        for name, t in schema.operation(op).tensors("outputs", attrs).items()
    }
    return SuiteCase("fuzz", op, "certified", dtype, None, attrs, "", "", inputs, outputs)


def _rhos(outputs, expected, bounds):
    """The worst error / bound of each trial."""
    worst = np.zeros(SAME)
    for name, got in outputs.items():
        error, bound = np.abs(got - expected[name]).reshape(SAME, -1), bounds[name].ravel()
        with np.errstate(all="ignore"):
            rho = np.where(error == 0, 0.0, error / bound)
        rho = np.where(np.isnan(rho), np.inf, rho)
        worst = np.maximum(worst, rho.max(axis=1, initial=0.0))
    return worst


def summary(outcomes):
    """One sentence: rejected, trials, and the upper bound."""
    trials, rejected = sum(o.trials for o in outcomes), sum(o.rejected for o in outcomes)
    least = min(o.trials for o in outcomes)
    return (
        f"{rejected} of {trials:,} correct evaluations rejected; largest error / bound "
        f"{max(o.rho for o in outcomes):.3f}. "
        f"At most {upper_bound(rejected, trials):.2g} of such evaluations are rejected, with 95 % confidence; "
        f"{max(o.upper_bound for o in outcomes):.2g} for each operation and format alone, of at least {least:,} trials"
    )


def markdown(outcomes, seed):
    """The table for the documentation."""
    dtypes = list(dict.fromkeys(o.dtype for o in outcomes))
    by_op = {}
    for o in outcomes:
        by_op.setdefault(o.op, {})[o.dtype] = o
    lines = [
        "# Correct arithmetic against the bounds",
        "",
        f"{summary(outcomes)}.",
        "",
        "The largest error / bound that any trial reached; above 1 a correct port would be rejected. Made by",
        f"`python -m nsn_ref.golden.fuzz --trials {outcomes[0].trials} --seed {seed}`; what a trial is:",
        "[golden-bounds.md](../golden-bounds.md#fuzzing).",
        "",
        f"| operation | {' | '.join(dtypes)} |",
        f"|---|{'---:|' * len(dtypes)}",
    ]
    for op, row in by_op.items():
        lines.append(f"| `{op}` | {' | '.join(_cell(row.get(dtype)) for dtype in dtypes)} |")
    skipped = sum(o.unbounded for o in outcomes)
    lines += ["", f"{skipped} drawn inputs had no bound (a decision that rounding may overturn) and were drawn again."]
    return "\n".join(lines) + "\n"


def _cell(o):
    if o is None:
        return ""
    return f"{o.rho:.2f}" if not o.rejected else f"{o.rho:.2f}, {o.rejected} of {o.trials} rejected"
