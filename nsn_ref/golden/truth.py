"""What a port is compared with: the correctly rounded result, and a bound on a correct port's distance from it."""

import numpy as np

from nsn_ref.certify import balls, exactness, rounding
from nsn_ref.errors import NeedMorePrecision
from nsn_ref.golden import contracts, envelope, schema
from nsn_ref.golden.evaluate import Engine, as_arrays, evaluate, reference
from nsn_ref.golden.tensors import is_float

BOUND_BITS = 16  # so that a bound does not depend on the last bit of a machine's exp or log
UNIT_ROUNDOFF = 2.0**-53  # of the truth, which is stored in float64
ENVELOPE = Engine(envelope, envelope.adamw_step, envelope.sgd_step)


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


def bounds(op, lane, contract, inputs, attrs, truth):
    """For each element, how far a port that keeps a contract can lie from the stored truth; rounded up.

    In the exact lane this is 0, proved by `certify.exactness`; otherwise it is the largest error of any formula in
    `golden.envelope`, plus the rounding of the truth itself.

    Parameters
    ----------
    op, lane : str
    contract : contracts.Contract or str
        A str stands for the default contract of that format.
    inputs, attrs : dict
    truth : dict of str to ndarray
        As `expected` returns it.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    NeedMorePrecision
        A case of the exact lane has a sum that may be rounded, or stores a number that its format lacks; a decision
        (ReLU) that rounding may overturn; no finite bound.
    """
    contract = contracts.default(contract) if isinstance(contract, str) else contract
    convert = exactness.exact if lane == "exact" else rounding.rounded
    with rounding.precision(contract):
        outputs = as_arrays(evaluate(ENVELOPE, op, _convert(inputs, convert), attrs))
        outputs = {name: rounding.stored(outputs[name], _dtype(contract, op, attrs, name)) for name in truth}
        if lane == "exact":
            return {name: np.zeros(value.shape) for name, value in truth.items()}
        errors = {name: rounding.errors(value) for name, value in outputs.items()}
    if unbounded := [name for name, e in errors.items() if not np.isfinite(e).all()]:
        raise NeedMorePrecision(f"{unbounded[0]} has no finite bound under the contract of {contract.name}")
    return {name: around(truth[name], e) for name, e in errors.items()}


def _dtype(contract, op, attrs, name):
    """The format that an output is returned in."""
    return schema.stored_as(schema.operation(op).tensors("outputs", attrs)[name], contract.name)


def slack(contract):
    """The factor on a bound e where a port is compared not with the truth but with another evaluation, in float64.

    Both may be off. The error of the float64 one is e itself where some part of the contract is float64; otherwise less
    than 2^-20 e, as each part of e is proportional to a unit roundoff that is at least 2^29 times that of float64.
    """
    kinds = (getattr(contract, field) for field in contracts.FORMAT_FIELDS)
    return 2.0 if "float64" in kinds else 1 + 2.0**-20


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
    return {name: convert(x) if is_float(x) else x for name, x in inputs.items()}
