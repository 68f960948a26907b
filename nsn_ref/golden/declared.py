"""What a port declares about its arithmetic (its CONTRACT), and the bounds that follow from it."""

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

    A case of the exact lane whose sums this contract may round gets the bounds of a certified one.
    """
    if contract == contracts.default(case.dtype):
        return case
    from nsn_ref.golden import truth  # ball arithmetic: only other contracts need it

    expected = {name: output.expected for name, output in case.outputs.items()}
    for lane in dict.fromkeys((case.lane, "certified")):
        try:
            bounds = truth.bounds(case.op, lane, contract, case.inputs, case.attrs, expected)
            break
        except NeedMorePrecision as undecided:
            reason = undecided
    else:
        raise OptionError(f"golden check: {case.id} has no bounds under the port's contract: {reason}") from None
    return case._replace(outputs={name: o._replace(bound=bounds[name]) for name, o in case.outputs.items()})


def differences(contract):
    """What a contract sets otherwise than the default: (field, its value, the default's, whether that is looser)."""
    default = contracts.default(contract.name)
    loosened = contract.loosened(default)
    own, usual = contract.to_json(), default.to_json()
    return [(field, own[field], usual[field], field in loosened) for field in own if own[field] != usual[field]]
