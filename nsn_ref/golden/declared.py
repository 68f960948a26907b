"""What a port declares about its arithmetic (its CONTRACT), and the bounds that follow from it."""

import numpy as np

from nsn_ref.errors import NeedMorePrecision, OptionError, PortError
from nsn_ref.golden import contracts


def check_contract(name, declared):
    """Check a port's CONTRACT: a dict of a format's name to a dict of the fields that it sets.

    Raises
    ------
    PortError
    """
    if declared is None:
        return
    if not isinstance(declared, dict):
        raise PortError(f"port {name}: CONTRACT is a {type(declared).__name__}, expected a dict by dtype")
    for dtype, fields in declared.items():
        try:
            contracts.for_port(dtype, fields)
        except OptionError as error:
            raise PortError(f"port {name}: CONTRACT: {error}") from None


def contract_of(declared, dtype):
    """The contract that a port is held to in a format: the default with the fields that it declares."""
    return contracts.for_port(dtype, (declared or {}).get(dtype))


def rebound(case, contract):
    """The case with the bounds of a contract; the suite's own are those of the default one.

    A case of the exact lane whose sums this contract may round gets the bounds of a certified one. Where rounding may
    overturn a decision, or a number that is divided by may be zero, there is no bound: then every bound is infinite.
    """
    if contract == contracts.default(case.dtype):
        return case
    from nsn_ref.golden import truth  # only other contracts need it

    expected = {name: output.expected for name, output in case.outputs.items()}
    bounds = {name: np.full(x.shape, np.inf) for name, x in expected.items()}
    for lane in dict.fromkeys((case.lane, "certified")):
        try:
            bounds = truth.bounds(case.op, lane, contract, case.inputs, case.attrs, expected)
            break
        except NeedMorePrecision:
            pass
    return case._replace(outputs={name: o._replace(bound=bounds[name]) for name, o in case.outputs.items()})


def is_bounded(case):
    """Whether the case can tell right from wrong."""
    return not any(np.isposinf(output.bound).all() for output in case.outputs.values() if output.bound.size)


def differences(contract):
    """What a contract sets otherwise than the default: (field, its value, the default's, whether that is looser)."""
    default = contracts.default(contract.name)
    loosened = contract.loosened(default)
    own, usual = contract.to_json(), default.to_json()
    return [(field, own[field], usual[field], field in loosened) for field in own if own[field] != usual[field]]
