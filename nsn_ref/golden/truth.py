"""What a port is compared with: the correctly rounded result, and a bound on a correct port's distance from it."""

import numpy as np

from nsn_ref.certify import balls, exactness, rounding
from nsn_ref.golden import envelope
from nsn_ref.golden.evaluate import Engine, as_arrays, evaluate, reference

BOUND_BITS = 16  # so that a bound does not depend on the last bit of a machine's exp or log
UNIT_ROUNDOFF = 2.0**-53  # of the truth, which is stored in float64
ENVELOPE = Engine(envelope, envelope.adamw_step)


def expected(op, inputs, attrs):
    """The outputs of an operation on these very inputs, correctly rounded to float64.

    Raises
    ------
    NeedMorePrecision
        The result cannot be decided: a ReLU at exactly 0, say.
    """

    def run(*arrays):
        return evaluate(reference(), op, dict(zip(inputs, arrays, strict=True)), attrs)

    return balls.certified(run, *inputs.values())


def bounds(op, lane, dtype, inputs, attrs, truth):
    """For each element, how far a correct port's output in `dtype` can lie from the stored truth; rounded up.

    In the exact lane this is 0, proved by `certify.exactness`; otherwise it is the largest error of any formula in
    `golden.envelope`, plus the rounding of the truth itself.

    Raises
    ------
    NeedMorePrecision
        A case of the exact lane has a sum that may be rounded; or a decision (ReLU) that rounding may overturn.
    """
    if lane == "exact":
        evaluate(ENVELOPE, op, _convert(inputs, lambda x: exactness.exact(x, dtype)), attrs)
        return {name: np.zeros(value.shape) for name, value in truth.items()}
    with rounding.precision(dtype):
        outputs = as_arrays(evaluate(ENVELOPE, op, _convert(inputs, rounding.rounded), attrs))
        errors = {name: rounding.errors(value) for name, value in outputs.items()}
    return {name: around(truth[name], e) for name, e in errors.items()}


def around(truth, e):
    """A bound on a port's distance from the stored truth, where `e` is one on its distance from the exact number.

    The truth has been rounded itself, by half a unit in its last place; what no port rounds, the truth does not round.
    """
    return _round_up(np.where(e > 0, e + UNIT_ROUNDOFF * np.abs(truth), 0.0))


def _round_up(bound):
    """The next number with `BOUND_BITS` significant bits; a little more, for the sums that led here."""
    mantissa, exponent = np.frexp(bound * (1 + 2.0**-30))
    return np.ldexp(np.ceil(np.ldexp(mantissa, BOUND_BITS)), exponent - BOUND_BITS)


def _convert(inputs, convert):
    return {name: convert(x) if x.dtype.kind == "f" else x for name, x in inputs.items()}
