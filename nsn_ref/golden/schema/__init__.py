"""The operations of the port protocol: inputs, attributes and outputs of each, in one table.

The table generates the one in golden/README.md, and the checker, the builder and the reader of suites go by it.
"""

from nsn_ref.errors import SuiteError
from nsn_ref.golden.schema import decoder, functions, layers, nets, objectives
from nsn_ref.golden.schema.parts import Attr, Operation, Tensor, stored_as
from nsn_ref.golden.schema.table import table

__all__ = [
    "FILES", "OPERATIONS", "Attr", "Operation", "Tensor", "decode_attrs", "encode_attrs", "operation", "stored_as",
    "table",
]  # fmt: skip

_FAMILIES = (layers, decoder, functions, objectives, nets)
OPERATIONS = {operation.name: operation for family in _FAMILIES for operation in family.OPERATIONS}

FIRST = (  # in suite version 1, whose files are named by operation; the others share files by family
    "nested_linear_forward", "nested_linear_backward", "multirank_linear_forward", "multirank_linear_backward",
    "objective_forward", "objective_backward", "mlp_step",
)  # fmt: skip
FILES = {
    operation.name: operation.name if operation.name in FIRST else family.__name__.rpartition(".")[2]
    for family in _FAMILIES
    for operation in family.OPERATIONS
}  # by operation, what the names of the files with its cases begin with

_READERS = {
    "int": int,
    "ints": lambda values: [int(v) for v in values],
    "float": float.fromhex,
    "name": str,
    "bool": bool,
}


def operation(name):
    """The operation of that name.

    Raises
    ------
    SuiteError
    """
    if name not in OPERATIONS:
        raise SuiteError(f"golden suite: unknown operation {name!r}, expected one of {', '.join(OPERATIONS)}")
    return OPERATIONS[name]


def encode_attrs(op, attrs):
    """Attributes as JSON: floats become hexadecimal strings, which lose nothing in any language."""
    kinds = {a.name: a.kind for a in operation(op).attrs}
    return {name: float(value).hex() if kinds[name] == "float" else value for name, value in attrs.items()}


def decode_attrs(op, attrs):
    """Attributes from JSON; one that is left out has its default.

    Raises
    ------
    SuiteError
    """
    declared = operation(op).attrs
    defaults = {a.name: a.default for a in declared if a.default is not None}
    given = defaults | attrs if isinstance(attrs, dict) else attrs
    try:
        decoded = {a.name: _READERS[a.kind](given[a.name]) for a in declared}
    except (KeyError, TypeError, ValueError) as error:
        raise SuiteError(f"golden suite: attributes of {op} are {attrs!r}: {error!r}") from None
    if unknown := given.keys() - decoded.keys():
        raise SuiteError(f"golden suite: {op} has no attribute {sorted(unknown)[0]!r}")
    return decoded
