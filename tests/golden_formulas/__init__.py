"""Every operation of the suite as scalar loops, written from the formulas in golden/README.md.

Tensors are nested lists; numbers are Fractions where the operation is rational and 300-bit balls where it is not.
Nothing of nsn_ref is used.
"""

from fractions import Fraction

import flint
import numpy as np

from golden_formulas import functions, images, linear, nets, objectives

BITS = 300
OPERATIONS = {
    **linear.OPERATIONS,
    **images.OPERATIONS,
    **functions.OPERATIONS,
    **objectives.OPERATIONS,
    **nets.OPERATIONS,
}
RATIONAL = {
    *linear.OPERATIONS, *images.OPERATIONS, "relu_forward", "relu_backward", "mean_squared_error_forward",
    "mean_squared_error_backward", "weighted_sum_forward", "weighted_sum_backward", "analytic_weights", "renormalised",
    "gradnorm_forward", "gradnorm_backward", "sgd_step", *objectives.REGULARISERS,
}  # fmt: skip


def evaluate(op, inputs, attrs):
    """Outputs by name: nested lists, or one number."""
    kind = Fraction if op in RATIONAL else flint.arb
    before, flint.ctx.prec = flint.ctx.prec, BITS
    try:
        t = {name: x.tolist() if x.dtype.kind == "i" else lists(x, kind) for name, x in inputs.items()}
        outputs = OPERATIONS[op](t, attrs)
        return {name: nearest(value) for name, value in outputs.items()}
    finally:
        flint.ctx.prec = before


def lists(x, kind):
    return [lists(part, kind) for part in x] if x.ndim else kind(float(x))


def nearest(value):
    """The float64 nearest to each number, by Python's own correctly rounded division of integers."""
    if isinstance(value, (list, tuple)):
        return np.array([nearest(part) for part in value])
    if isinstance(value, (int, Fraction)):
        return np.float64(float(value))
    ends = []
    for end in (value.lower(), value.upper()):
        man, exp = end.man_exp()
        man, exp = int(man), int(exp)
        ends.append(float(man * Fraction(2) ** exp))
    assert ends[0] == ends[1], f"{value} is not decided at {BITS} bits"
    return np.float64(ends[0])
