"""The contract of a format: how exact each kind of arithmetic of a port must at least be.

A case's bounds hold for every port that keeps the default contract of the case's format. A port may declare a looser
one (`CONTRACT = {"bfloat16": {"batch_sum": "bfloat16"}}`), which every report then names beside the default.
"""

from dataclasses import asdict, dataclass, fields, replace

from nsn_ref.certify import formats
from nsn_ref.errors import OptionError


@dataclass(frozen=True)
class Contract:
    """What each kind of number is rounded to; every other promise of a port."""

    name: str
    storage: str  # tensors between operations: activations and their cotangents
    master: str  # parameters, optimiser state, losses and log-variances, as tensors
    operand: str  # factors of a product of matrices, just before it
    accumulator: str  # partial sums of a product of matrices
    elementwise: str  # every other arithmetic inside an operation, constants included
    batch_sum: str  # sums that are not products of matrices: over rows, classes or coordinates
    optimizer: str  # arithmetic of an optimiser's step
    truncating: bool  # accumulators may cut bits off instead of rounding, and align terms in blocks (tensor cores)
    flush_to_zero: bool  # results below the smallest normal number may be zero
    merged_weights: bool  # B A may be multiplied out (and stored) first
    ulps: int  # units roundoff that an elementary function may be off by; below float32 it is that many of float32

    def looser_than(self, default):
        """Whether some field allows errors that the other contract does not."""
        return bool(self.loosened(default))

    def loosened(self, default):
        """Names of the fields that allow errors that the other contract does not."""
        return [f.name for f in fields(self) if _looser(getattr(self, f.name), getattr(default, f.name), f.name)]

    def to_json(self):
        """The fields as an object of JSON."""
        return asdict(self)

    def __str__(self):
        described = [f"{f.name} {getattr(self, f.name)}" for f in fields(self)[1:] if f.type is str]
        promises = [f.name.replace("_", " ") for f in fields(self) if f.type is bool and getattr(self, f.name)]
        return f"{self.name}: {', '.join([*described, *promises])}, elementary functions to {self.ulps} ulps"


def _looser(own, other, field):
    if field in FORMAT_FIELDS:
        a, b = formats.named(own), formats.named(other)
        return a.unit_roundoff > b.unit_roundoff or a.lowest > b.lowest
    return field != "name" and own > other


FORMAT_FIELDS = ("storage", "master", "operand", "accumulator", "elementwise", "batch_sum", "optimizer")
FIXED = ("name", "storage", "master")  # these are the dtypes of a case's tensors


def _uniform(name):
    return Contract(name, *[name] * 7, truncating=False, flush_to_zero=True, merged_weights=True, ulps=8)


def _narrow(name, **others):
    """A short format for tensors and elementwise arithmetic, with float32 inside sums and the optimiser."""
    contract = replace(_uniform(name), accumulator="float32", batch_sum="float32", optimizer="float32", truncating=True)
    return replace(contract, **others)


DEFAULTS = {
    contract.name: contract
    for contract in (
        _uniform("float64"),
        _uniform("float32"),
        replace(_uniform("float32"), name="tf32", operand="tf32", truncating=True),
        _narrow("bfloat16"),
        _narrow("float16", flush_to_zero=False),  # no processor flushes them, and gradients do get so small
        replace(_narrow("bfloat16"), name="bfloat16_master", master="float32", elementwise="float32"),
    )
}


def default(dtype):
    """The contract that the bounds of the suite are for.

    Raises
    ------
    OptionError
    """
    if dtype not in DEFAULTS:
        raise OptionError(f"unknown contract {dtype!r}, expected one of {', '.join(DEFAULTS)}")
    return DEFAULTS[dtype]


def for_port(dtype, overrides=None):
    """The default contract of a format with the fields that a port declares.

    Parameters
    ----------
    dtype : str
        One of `DEFAULTS`.
    overrides : dict, optional
        Field to value: a format's name, a bool, or for `ulps` an integer from 1 to 64.

    Returns
    -------
    Contract

    Raises
    ------
    OptionError
        An unknown format or field, a field that the tensors' dtype fixes, a value out of range.
    """
    contract = default(dtype)
    if not isinstance(overrides or {}, dict):
        raise OptionError(f"contract of {dtype} is a {type(overrides).__name__}, expected a dict of fields")
    kinds = {f.name: f.type for f in fields(Contract) if f.name not in FIXED}
    for field, value in (overrides or {}).items():
        if field not in kinds:
            raise OptionError(f"contract of {dtype} has no field {field!r} to set, expected one of {', '.join(kinds)}")
        if type(value) is not kinds[field]:
            got = f"{value!r} ({type(value).__name__})"
            raise OptionError(f"contract of {dtype}: {field} is {got}, expected {kinds[field].__name__}")
        if field in FORMAT_FIELDS and value not in formats.FORMATS:
            raise OptionError(
                f"contract of {dtype}: {field} is {value!r}, expected one of {', '.join(formats.FORMATS)}"
            )
        if field == "ulps" and not 1 <= value <= 64:
            raise OptionError(f"contract of {dtype}: ulps is {value}, expected 1..64")
    return replace(contract, **(overrides or {}))
