"""The operations as Markdown tables, for golden/README.md."""

import re

EXAMPLE = {"depth": 3, "head": "nested"}  # shows each kind of tensor that a net has

_PARAMETERS = (
    ("`layers.i.A`, nested", "(R, in_i), of a convolution (R, in_i, k, k)"),
    ("`layers.i.B`, nested", "(out_i, R)"),
    ('`layers.i.W`, the last layer if `head` is "dense"', "(C, in_i)"),
    ("`layers.i.b`", "(out_i,)"),
    ("`s`", "(R,)"),
)


def table(operations=None):
    """Operations, attributes, and the parameters of nets."""
    from nsn_ref.golden.schema import OPERATIONS

    operations = (operations or OPERATIONS).values()
    lines = ["| op | inputs | attributes | outputs | may return |", "|---|---|---|---|---|"]
    for op in operations:
        inputs, outputs = (_declared(op, which) for which in ("inputs", "outputs"))
        names = ", ".join(f"`{a.name}`" for a in op.attrs)
        needed, more = [t for t in outputs if not t.optional], [t for t in outputs if t.optional]
        cells = f"`{op.name}`: {op.meaning}", _shapes(inputs), names, _shapes(needed), _shapes(more)
        lines.append(f"| {' | '.join(cells)} |")
    meanings = {a.name: a for op in operations for a in op.attrs}
    lines += ["", "| attribute | kind | meaning |", "|---|---|---|"]
    lines += [f"| `{a.name}` | {a.kind} | {a.meaning}{_default(a)} |" for a in meanings.values()]
    lines += ["", "| parameter P of a net | shape |", "|---|---|"]
    lines += [f"| {name} | {shape} |" for name, shape in _PARAMETERS]
    return "\n".join(lines) + "\n"


def _default(attr):
    return "" if attr.default is None else f"; {attr.default} if left out"


def _declared(op, which):
    return op.layout(which, EXAMPLE) if op.layout else getattr(op, which)


def _shapes(tensors):
    """Each tensor once: those of layer i by one name, those of the parameters as P."""
    cells = {}
    for t in tensors:
        prefix, _, rest = t.name.partition(".")
        kind = "" if t.kind == "float" else f" {t.kind}"
        if rest.startswith("layers.") or (rest == "s" and prefix != "grad"):
            cells[f"`{prefix}.P`"] = None
        elif rest == "s":
            cells.setdefault("`grad.P`", None)
        else:
            cells[f"`{re.sub(r'[0-9]+', 'i', t.name)}` {_shape(t)}{kind}"] = None
    return ", ".join(cells)


def _shape(tensor):
    axes = re.sub(r"_[0-9]+", "_i", tensor.axes).split()
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
