"""What is asked for: operations, attributes and sizes, checked against the schema."""

from typing import NamedTuple

from nsn_ref.errors import OptionError, RankError
from nsn_ref.golden import contracts, schema
from nsn_ref.golden.cases.mlp_step import ADAMW

# What an attribute is where nothing is said; one that is not here, and has no default in the schema, must be given.
DEFAULTS = ADAMW | {
    "activation": "gelu", "alpha": 1.5, "approximate": "none", "blocks": 1, "family": "qwen2", "head": "nested",
    "heads": 2, "ignore_index": -100, "rotary": 2, "rotary_base": 10000.0,
    "label_smoothing": 0.0, "momentum": 0.9, "padding": [0, 0], "reduction": "mean", "scale": 0.125, "size": [2, 2],
    "stop_anchor": True, "stride": [1, 1], "tables": "shared", "targets": "labels", "temperature": 2.0,
    "variant": "uncertainty", "window": 2**31 - 1,
}  # fmt: skip

_READERS = {
    "int": int,
    "ints": lambda text: [int(part) for part in text.split(",")],
    "float": lambda text: float.fromhex(text) if "0x" in text else float(text),
    "name": str,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
}


class Request(NamedTuple):
    """One case to build."""

    op: str
    dtype: str
    attrs: dict
    sizes: dict  # letter to size; "..." to the leading axes

    @property
    def name(self):
        """The last part of the case's id."""
        return f"custom-rank-{self.attrs['rank']}-001" if "rank" in self.attrs else "custom-001"

    def tensors(self, which):
        """The tensors of `which` ("inputs" or "outputs") by name."""
        return schema.operation(self.op).tensors(which, self.attrs)

    def classes(self, name):
        """How many values an integer tensor takes; None where it is not known."""
        if name == "mask":
            return 2
        return self.sizes.get("V" if name == "tokens" or "C" not in self.sizes else "C")

    def shape(self, tensor):
        """The shape of a tensor; None where a letter has no size that is known beforehand."""
        sizes = [self.sizes.get(letter) for letter in tensor.axes.split()]
        if None in sizes:
            return None
        return tuple(n for size in sizes for n in (size if isinstance(size, tuple) else (size,)))


def operations(op):
    """The operations that a name stands for: itself, or the forward and backward one of a stem.

    Raises
    ------
    OptionError
    """
    if op in schema.OPERATIONS:
        return (op,)
    both = tuple(name for name in (f"{op}_forward", f"{op}_backward") if name in schema.OPERATIONS)
    if both:
        return both
    stems = dict.fromkeys(name.removesuffix("_forward").removesuffix("_backward") for name in schema.OPERATIONS)
    raise OptionError(f"golden build: unknown operation {op!r}, expected one of {', '.join(stems)}")


def requests(op, *, shape, ranks, dtype, attrs):
    """The cases that a call of `nsn-ref golden build` asks for.

    Parameters
    ----------
    op : str
        An operation or a stem.
    shape : dict of str to int
        Sizes by the letters of the schema; n (or B and T) for the leading axes. R may be left out: the largest rank.
    ranks : sequence of int or None
        An operation at one rank becomes one case for each.
    dtype : str
        A format of `nsn_ref.golden.contracts`.
    attrs : dict
        Other attributes; text is read as the command line gives it.

    Returns
    -------
    list of Request

    Raises
    ------
    OptionError, RankError
    """
    contracts.default(dtype)
    found, used = [], set()
    for name in operations(op):
        for given in attributes(name, ranks, attrs, shape):
            request = _sized(name, dtype, given, ({"R": max(ranks)} if ranks else {}) | shape)
            used |= {letter for t in request.tensors("inputs").values() for letter in t.axes.split()}
            used |= {"R"} & given.keys()
            found.append(request)
    if "..." in used:
        used |= {"n", "B", "T"}
    used -= {"...", "rank", "top", *(["K"] if ranks else [])}
    _refuse_unknown("--shape", shape, used)
    return found


def attributes(op, ranks, attrs, shape):
    """The attributes of each case of an operation."""
    declared = {a.name: a for a in schema.operation(op).attrs}
    _refuse_unknown("--attr", attrs, declared.keys() - {"rank", "ranks"})
    if ranks is not None and not declared.keys() & {"rank", "ranks"}:
        raise OptionError(f"golden build: {op} has no rank, but --ranks is given")
    values = {}
    for name, attr in declared.items():
        if name in attrs:
            values[name] = _value(op, attr, attrs[name])
        elif name in ("rank", "ranks"):
            values[name] = _ranks(op, ranks)
        elif name in ("R", "anchor"):
            values[name] = shape.get("R", max(ranks or [1]))
        else:
            values[name] = DEFAULTS.get(name, attr.default)
        if values[name] is None:
            raise OptionError(f"golden build: {op} needs --attr {name}=VALUE: {attr.meaning}")
    return [values | {"rank": r} for r in values["rank"]] if "rank" in values else [values]


def _value(op, attr, given):
    try:
        return _READERS[attr.kind](given) if isinstance(given, str) else given
    except (ValueError, KeyError):
        raise OptionError(f"golden build: --attr {attr.name} of {op} is {given!r}, expected {attr.kind}") from None


def _ranks(op, ranks):
    if not ranks:
        raise OptionError(f"golden build: {op} needs --ranks, integers separated by commas")
    if any(isinstance(r, bool) or not isinstance(r, int) or r < 1 for r in ranks):
        raise RankError(f"golden build: --ranks is {list(ranks)}, expected integers of at least 1")
    return list(ranks)


def _sized(op, dtype, attrs, shape):
    """The sizes of all letters of an operation."""
    at = attrs.get("ranks", [attrs["rank"]] if "rank" in attrs else [])
    sizes = ({"top": max(at), "rank": max(at)} if at else {}) | shape
    if at and "K" not in shape:
        sizes["K"] = len(at)
    for letter, size in shape.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise OptionError(f"golden build: --shape {letter} is {size!r}, expected an integer of at least 1")
    if at and max(at) > sizes["R"]:
        raise RankError(f"golden build: rank {max(at)} is not in 1..R = 1..{sizes['R']}")
    request = Request(op, dtype, attrs, sizes)
    tensors = request.tensors("inputs").values()
    letters = dict.fromkeys(letter for t in tensors for letter in t.axes.split())
    if "..." in letters:
        sizes["..."] = (
            (shape["B"], shape["T"]) if {"B", "T"} <= shape.keys() else (shape["n"],) if "n" in shape else None
        )
    sizes |= _positions(sizes, attrs)
    missing = [letter for letter in letters if sizes.get(letter) is None]
    if missing:
        letter = "n (or B and T)" if missing[0] == "..." else missing[0]
        wanted = " ".join(f"{t.name}({', '.join(t.axes.split())})" for t in tensors)
        raise OptionError(f"golden build: --shape of {op} lacks {letter}; its inputs are {wanted}")
    if at and sizes["K"] != len(at):
        raise OptionError(f"golden build: --shape K is {sizes['K']}, expected the number of ranks, {len(at)}")
    return request


def _positions(sizes, attrs):
    """Where a kernel or a window fits: the height and width of an image's features."""
    out = {}
    for k, (letter, kernel) in enumerate((("H", "k_h"), ("W", "k_w"))):
        if "stride" in attrs and {letter, kernel} <= sizes.keys():
            room = sizes[letter] + 2 * attrs["padding"][k] - sizes[kernel]
            if room < 0:
                raise OptionError(f"golden build: --shape {kernel} is {sizes[kernel]}, larger than the padded image")
            out[f"{letter}_out"] = room // attrs["stride"][k] + 1
        elif "size" in attrs and letter in sizes:
            out[f"{letter}_out"] = sizes[letter] // attrs["size"][k]
    return out


def _refuse_unknown(option, given, known):
    if unknown := sorted(given.keys() - known):
        there = ", ".join(sorted(known)) or "none"
        raise OptionError(f"golden build: {option} has no {unknown[0]!r} here, expected {there}")
