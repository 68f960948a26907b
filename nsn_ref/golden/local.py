"""Judging each stage of a net by itself, on the port's own intermediates.

The bound of a whole chain grows with every stage. Here each stage is recomputed from the tensors that the port itself
returned for the stages before it, so its bound is about that of one operation, however deep the net. An intermediate
that the port did not return is computed, and its error bound carried along.

The value v that an output is compared with is computed in float64. It and the port's are both evaluations of one exact
number with a bound e on their errors; that of v is e itself in float64, and in any shorter format less than e 2^-20,
since each part of e is proportional to some unit roundoff, of which the smallest is 2^29 times that of float64.

A bottleneck h is judged but not used: a port may compute z from W_r = B_r A_r instead. And a tensor that the port
returned may be the rounding of the number that it went on with, in a wider register: one rounding to storage is
allowed.
"""

import os
import pickle
import subprocess
import sys
import threading

import numpy as np

from nsn_ref.certify import formats, rounding
from nsn_ref.errors import NeedMorePrecision, NonFiniteError
from nsn_ref.golden import compare
from nsn_ref.golden.evaluate import as_arrays, evaluate
from nsn_ref.golden.stages import stages
from nsn_ref.golden.tensors import is_float
from nsn_ref.golden.truth import ENVELOPE

ENOUGH = 16  # nets that are worth a second process


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
    command = [sys.executable, "-m", "nsn_ref.golden.local"]
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
    list of (str, TensorResult)
        The stage and the result for each output that the port returned, in the order of computation. A stage that
        cannot be decided, such as a ReLU so near 0 that rounding may overturn it, or that has no finite bound, is left
        out.
    """
    judged = []
    with rounding.precision(contract), np.errstate(all="ignore"):
        slack = 2.0 if contract.storage == "float64" else 1 + 2.0**-20
        tensors = {name: rounding.rounded(x) if is_float(x) else x for name, x in case.inputs.items()}
        for stage in stages(case.op, case.attrs):
            try:
                made = stage.run(_call, tensors)
            except (NeedMorePrecision, NonFiniteError, KeyError):  # KeyError: a tensor of such a stage before
                made = {}
            for name in stage.outputs:
                own = outputs.get(name)
                if own is not None and name in made:
                    value = np.asarray(made[name], dtype=object)
                    bound = slack * rounding.errors(value)
                    judged.append((stage.what, compare.tensor(name, own, rounding.values(value), bound)))
                if name in tensors:  # a new parameter is not the parameter
                    continue
                if own is not None and not name.startswith("h.") and np.isfinite(np.float64(own)).all():
                    tensors[name] = _stored(own)
                elif name in made:
                    tensors[name] = made[name]
    return judged


def _stored(x):
    """A tensor that the port returned: it may have gone on with the number that this one is a rounding of."""
    out = rounding.rounded(x)
    unit = formats.named(x.dtype.name)
    for index, number in np.ndenumerate(np.float64(x)):
        value = float(number)
        if value:  # what is zero was zero: gradients of unused components, a ReLU that is off
            out[index] = rounding.Rounded(value, unit.unit_roundoff * abs(value) + unit.smallest_normal)
    return out


def _call(op, inputs, attrs):
    """One operation over numbers with error bounds."""
    return as_arrays(evaluate(ENVELOPE, op, inputs, attrs))


if __name__ == "__main__":
    jobs = pickle.load(sys.stdin.buffer)
    sys.stdout.buffer.write(pickle.dumps([judge(*job) for job in jobs]))
