"""The operations as Markdown tables, for golden/README.md."""

import re

EXAMPLE = {"depth": 3, "head": "nested", "family": "gpt_neox", "blocks": 1}  # shows each kind of tensor of a net

_PARAMETERS = (
    ("`layers.i.A`, nested", "(R, in_i), of a convolution (R, in_i, k, k)"),
    ("`layers.i.B`, nested", "(out_i, R)"),
    ('`layers.i.W`, the last layer if `head` is "dense"', "(C, in_i)"),
    ("`layers.i.b`", "(out_i,)"),
    ("of a decoder: `embedding.E`; `head.W`, if it has its own", "(V, hidden)"),
    ("`positions.E`, where positions are learned", "(context, hidden)"),
    ("`blocks.i.norm1.w`, `blocks.i.norm1.b`; of `norm2`, and of `norm` after all blocks, alike", "(hidden,)"),
    ("`blocks.i.attention.q.W`, `blocks.i.attention.q.b`", "(q_out, hidden), (q_out,): H D numbers"),
    ("`blocks.i.attention.k.W`, `blocks.i.attention.k.b`; of `v` alike", "(k_out, hidden), (k_out,): G D numbers"),
    ("`blocks.i.attention.o.W`, `blocks.i.attention.o.b`", "(hidden, q_out), (hidden,)"),
    (
        "`blocks.i.mlp.up.A`, `blocks.i.mlp.up.B`, `blocks.i.mlp.up.b`; of `gate` alike",
        "(R, hidden), (width, R), (width,)",
    ),
    ("`blocks.i.mlp.down.A`, `blocks.i.mlp.down.B`, `blocks.i.mlp.down.b`", "(R, width), (hidden, R), (hidden,)"),
    ("`s`", "(R,)"),
)  # fmt: skip


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
        if rest and prefix in ("param", "grad", "m", "v"):
            cells[f"`{prefix}.P`"] = None
        else:
            cells[f"`{re.sub(r'[0-9]+', 'i', t.name)}` {_shape(t)}{kind}"] = None
    return ", ".join(cells)


def _shape(tensor):
    axes = re.sub(r"_[0-9]+", "_i", tensor.axes).split()
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
