"""Every operation of the suite as scalar loops, written from the formulas in golden/README.md.

Tensors are nested lists; numbers are Fractions where the operation is rational and balls where it is not.
Nothing of nsn_ref is used.
"""

from fractions import Fraction

import flint
import numpy as np

from golden_formulas import decoder, functions, images, linear, nets, objectives

BITS = (300, 5000)  # the second where 1 + tanh cancels
OPERATIONS = {
    **linear.OPERATIONS,
    **images.OPERATIONS,
    **functions.OPERATIONS,
    **decoder.OPERATIONS,
    **objectives.OPERATIONS,
    **nets.OPERATIONS,
}
RATIONAL = {
    *linear.OPERATIONS, *images.OPERATIONS, "relu_forward", "relu_backward", "mean_squared_error_forward",
    "mean_squared_error_backward", "weighted_sum_forward", "weighted_sum_backward", "analytic_weights", "renormalised",
    "gradnorm_forward", "gradnorm_backward", "sgd_step", *objectives.REGULARISERS, *decoder.RATIONAL,
}  # fmt: skip


def evaluate(op, inputs, attrs):
    """Outputs by name: nested lists, or one number."""
    kind = Fraction if op in RATIONAL else flint.arb
    for bits in BITS:
        before, flint.ctx.prec = flint.ctx.prec, bits
        try:
            t = {name: x.tolist() if x.dtype.kind == "i" else lists(x, kind) for name, x in inputs.items()}
            return {name: nearest(value) for name, value in OPERATIONS[op](t, attrs).items()}
        except Undecided:
            if bits == BITS[-1]:
                raise
        finally:
            flint.ctx.prec = before


class Undecided(Exception):
    """A ball that rounds to one float64 or to another."""


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
    if not ends[0] == ends[1]:
        raise Undecided(value)
    return np.float64(ends[0])
