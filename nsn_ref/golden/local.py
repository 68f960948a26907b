"""Judging each stage of a net by itself, on the port's own intermediates.

The bound of a whole chain grows with every stage. Here each stage is recomputed from the tensors that the port itself
returned for the stages before it, so its bound is about that of one operation, however deep the net. An intermediate
that the port did not return is computed, and its error bound carried along.

A bottleneck h is judged but not used: a port may compute z from W_r = B_r A_r instead. And a tensor that the port
returned may be the rounding of the number that it went on with, in a wider register: one rounding to the tensor's
format is allowed (docs/golden-bounds.md, L12).
"""

import os
import pickle
import subprocess
import sys
import threading
from typing import NamedTuple

import numpy as np

from nsn_ref.certify import formats, rounding
from nsn_ref.errors import NeedMorePrecision, NonFiniteError
from nsn_ref.golden import compare, truth
from nsn_ref.golden.evaluate import as_arrays, evaluate
from nsn_ref.golden.stages import stages
from nsn_ref.golden.tensors import is_float

ENOUGH = 16  # nets that are worth a second process


class Undecided(NamedTuple):
    """A tensor that the port returned and that its stage cannot judge, or not all of it."""

    stage: str
    name: str
    reason: str


class Judged(NamedTuple):
    """The stages of one case."""

    results: tuple  # (stage, TensorResult)
    undecided: tuple  # Undecided


def judge_all(jobs, progress=lambda items: items):
    """`judge` on many cases; where there are enough, half of them in a second process.

    Parameters
    ----------
    jobs : list of (SuiteCase, outputs, Contract)
    progress : callable
        Wraps the iterable of this process's share.

    Returns
    -------
    list
        What `judge` returns, for each.
    """
    if len(jobs) < ENOUGH or (os.cpu_count() or 1) < 2:
        return [judge(*job) for job in progress(jobs)]
    share, shares = {}, (jobs[0::2], jobs[1::2])
    helper = threading.Thread(target=lambda: share.update(made=_in_another_process(shares[1])))
    helper.start()
    own = [judge(*job) for job in progress(shares[0])]
    helper.join()
    others = share.get("made") or [judge(*job) for job in shares[1]]  # without a second process: here
    return [made for pair in zip(own, [*others, None], strict=False) for made in pair if made is not None]


def _in_another_process(jobs):
    command = [sys.executable, "-c", "from nsn_ref.golden import local; local.serve()"]
    ended = subprocess.run(command, input=pickle.dumps(jobs), capture_output=True, check=False)
    return pickle.loads(ended.stdout) if ended.returncode == 0 else None


def judge(case, outputs, contract):
    """Compare each output with its stage, recomputed from the port's own tensors.

    Parameters
    ----------
    case : SuiteCase
        Of a net.
    outputs : dict of str to ndarray
        The port's answer, in dtypes and shapes as expected.
    contract : Contract

    Returns
    -------
    Judged
        The stage and the result for each output that the port returned, in the order of computation; and those that
        cannot be decided, such as a ReLU so near 0 that rounding may overturn it, with the reason.
    """
    results, undecided = [], []
    slack = truth.slack(contract)
    with rounding.precision(contract), np.errstate(all="ignore"):
        tensors = {name: rounding.rounded(x) if is_float(x) else x for name, x in case.inputs.items()}
        for stage in stages(case.op, case.attrs):
            made, reason = _made(stage, tensors)
            for name in stage.outputs:
                own, value = outputs.get(name), made.get(name)
                if own is not None and value is not None:
                    bound = slack * rounding.errors(value)
                    reason = _unbounded(bound)
                    if np.isfinite(bound).any():
                        results.append((stage.what, compare.tensor(name, own, rounding.values(value), bound)))
                if own is not None and reason:
                    undecided.append(Undecided(stage.what, name, reason))
                if name in tensors:  # a new parameter is not the parameter
                    continue
                if own is not None and not name.startswith("h.") and np.isfinite(np.float64(own)).all():
                    tensors[name] = _gone_on_with(own, case.outputs[name].bound)
                elif value is not None:
                    tensors[name] = value
    return Judged(tuple(results), tuple(undecided))


def _made(stage, tensors):
    """The outputs of a stage, as object arrays; or none, and why."""
    try:
        outputs = stage.run(_call, tensors)
    except (NeedMorePrecision, NonFiniteError) as error:
        return {}, str(error)
    except KeyError as missing:
        return {}, f"{missing.args[0]}, which it needs, is undecided and was not returned"
    return {name: np.asarray(x, dtype=object) for name, x in outputs.items()}, None


def _unbounded(bound):
    """Why some elements cannot be judged: a sentence or None."""
    count = np.count_nonzero(~np.isfinite(bound))
    return f"{count} of {bound.size} elements have no finite bound" if count else None


def _gone_on_with(own, bound):
    """The numbers that the port may have gone on with, where it returned their roundings.

    Where the bound is 0 all correct ports have the same number, and it is one of the format: a sum of the exact lane,
    the gradient of an unused component, a ReLU that is off.
    """
    unit = formats.named(own.dtype.name)
    u, tiny = unit.unit_roundoff, rounding.arithmetic().tiny(unit)
    values = np.float64(own)
    errors = np.where(bound == 0, 0.0, u * np.abs(values) + tiny)
    numbers = [rounding.Rounded(*pair) for pair in zip(values.ravel().tolist(), errors.ravel().tolist(), strict=True)]
    return rounding.of_numbers(numbers, own.shape)


def _call(op, inputs, attrs):
    """One operation over numbers with error bounds."""
    return as_arrays(evaluate(truth.ENVELOPE, op, inputs, attrs))


def serve():
    """What runs in the second process: jobs from its standard input, results to its standard output."""
    jobs = pickle.load(sys.stdin.buffer)
    sys.stdout.buffer.write(pickle.dumps([judge(*job) for job in jobs]))
