"""The operations of the port protocol: inputs, attributes and outputs of each, in one table.

The table generates the one in golden/README.md, and the checker, the builder and the reader of suites go by it.
"""

from typing import NamedTuple

from nsn_ref.errors import SuiteError


class Tensor(NamedTuple):
    """One tensor of an operation."""

    name: str
    axes: str  # names of its axes; "..." is (n) or (B, T); "" is a scalar
    kind: str = "float"  # "float" is the case's dtype; else a dtype
    optional: bool = False  # an intermediate, which a port may return
    when: tuple = ()  # (attribute, value): the tensor exists only then


class Attr(NamedTuple):
    """One attribute of an operation."""

    name: str
    kind: str  # "int", "ints" (a list), "float" or "name"
    meaning: str


class Operation(NamedTuple):
    """One operation of the protocol."""

    name: str
    meaning: str
    inputs: tuple
    attrs: tuple
    outputs: tuple

    def tensors(self, which, attrs):
        """The tensors of `which` ("inputs" or "outputs") that exist under these attributes, by name."""
        return {t.name: t for t in getattr(self, which) if not t.when or attrs[t.when[0]] == t.when[1]}


_LAYER = (Tensor("x", "... d_in"), Tensor("A", "R d_in"), Tensor("B", "d_out R"), Tensor("b", "d_out"))
_LAYER_GRADS = (Tensor("dx", "... d_in"), Tensor("dA", "R d_in"), Tensor("dB", "d_out R"), Tensor("db", "d_out"))
_RANK = Attr("rank", "int", "the rank r, in 1..R")
_RANKS = Attr("ranks", "ints", "K ranks, each in 1..R, in any order, duplicates allowed")
_OBJECTIVE = (Tensor("losses", "K"), Tensor("s", "R"))
_VARIANT = Attr("variant", "name", '"uncertainty", "classification" or "bounded"')

_PARAMETERS = (
    Tensor("layers.0.A", "R d_in"),
    Tensor("layers.0.B", "width R"),
    Tensor("layers.0.b", "width"),
    Tensor("layers.1.A", "R width", when=("head", "nested")),
    Tensor("layers.1.B", "C R", when=("head", "nested")),
    Tensor("layers.1.W", "C width", when=("head", "dense")),
    Tensor("layers.1.b", "C"),
    Tensor("s", "R"),
)


def _each_parameter(*prefixes):
    return tuple(p._replace(name=f"{prefix}.{p.name}") for prefix in prefixes for p in _PARAMETERS)


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation(
            "nested_linear_forward",
            "y = B_r (A_r x) + b",
            _LAYER,
            (_RANK,),
            (Tensor("y", "... d_out"), Tensor("h", "... rank", optional=True)),
        ),
        Operation(
            "nested_linear_backward",
            "gradients of sum(dy * y)",
            (*_LAYER, Tensor("dy", "... d_out")),
            (_RANK,),
            _LAYER_GRADS,
        ),
        Operation(
            "multirank_linear_forward",
            "ys[k] is y at ranks[k], for one shared x",
            _LAYER,
            (_RANKS,),
            (Tensor("ys", "K ... d_out"), Tensor("h", "... top", optional=True)),
        ),
        Operation(
            "multirank_linear_backward",
            "gradients of sum(dys * ys), summed over the K outputs",
            (*_LAYER, Tensor("dys", "K ... d_out")),
            (_RANKS,),
            _LAYER_GRADS,
        ),
        Operation(
            "objective_forward",
            "total of K losses weighted by exp(-s), plus the penalties",
            _OBJECTIVE,
            (_RANKS, _VARIANT),
            (Tensor("total", ""), Tensor("w", "K", optional=True)),
        ),
        Operation(
            "objective_backward",
            "gradients of dtotal * total",
            (*_OBJECTIVE, Tensor("dtotal", "")),
            (_RANKS, _VARIANT),
            (Tensor("dlosses", "K"), Tensor("ds", "R")),
        ),
        Operation(
            "mlp_step",
            "one training step of a two-layer nested MLP: forward at K ranks, objective, backward, AdamW",
            (Tensor("x", "n d_in"), Tensor("targets", "n", "int64"), *_each_parameter("param", "m", "v")),
            (
                _RANKS,
                Attr("activation", "name", '"relu", "gelu" (erf) or "gelu_tanh"'),
                Attr("head", "name", '"nested" or "dense": the second layer'),
                _VARIANT,
                Attr("t", "int", "the number of this step; the first is 1"),
                Attr("lr", "float", "learning rate"),
                Attr("beta1", "float", "decay of m"),
                Attr("beta2", "float", "decay of v"),
                Attr("eps", "float", "added to the root of the corrected v"),
                Attr("weight_decay", "float", "of every parameter but s, which has none"),
            ),
            (
                Tensor("logits", "K n C"),
                Tensor("losses", "K"),
                Tensor("total", ""),
                *_each_parameter("grad", "param", "m", "v"),
            ),
        ),
    )
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
    """Attributes from JSON.

    Raises
    ------
    SuiteError
    """
    readers = {"int": int, "ints": lambda values: [int(v) for v in values], "float": float.fromhex, "name": str}
    try:
        decoded = {a.name: readers[a.kind](attrs[a.name]) for a in operation(op).attrs}
    except (KeyError, TypeError, ValueError) as error:
        raise SuiteError(f"golden suite: attributes of {op} are {attrs!r}: {error!r}") from None
    if unknown := attrs.keys() - decoded.keys():
        raise SuiteError(f"golden suite: {op} has no attribute {sorted(unknown)[0]!r}")
    return decoded


def table():
    """The operations as a Markdown table, for golden/README.md."""
    lines = ["| op | inputs | attributes | outputs | may return |", "|---|---|---|---|---|"]
    for op in OPERATIONS.values():
        outputs = [t for t in op.outputs if not t.optional]
        optional = [t for t in op.outputs if t.optional]
        names = ", ".join(f"`{a.name}`" for a in op.attrs)
        cells = f"`{op.name}`: {op.meaning}", _shapes(op.inputs), names, _shapes(outputs), _shapes(optional)
        lines.append(f"| {' | '.join(cells)} |")
    meanings = {a.name: a for op in OPERATIONS.values() for a in op.attrs}
    lines += ["", "| attribute | kind | meaning |", "|---|---|---|"]
    lines += [f"| `{a.name}` | {a.kind} | {a.meaning} |" for a in meanings.values()]
    lines += ["", "| parameter P | shape |", "|---|---|"]
    for p in _PARAMETERS:
        condition = f' if `{p.when[0]}` is "{p.when[1]}"' if p.when else ""
        lines.append(f"| `{p.name}`{condition} | {_shape(p)} |")
    return "\n".join(lines) + "\n"


def _shapes(tensors):
    cells = {}
    for t in tensors:
        prefix, _, parameter = t.name.partition(".")
        kind = "" if t.kind == "float" else f" {t.kind}"
        cells[f"`{prefix}.P`" if parameter else f"`{t.name}` {_shape(t)}{kind}"] = None
    return ", ".join(cells)


def _shape(tensor):
    axes = tensor.axes.split()
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
