"""What known mistakes would have returned: the reference, recomputed with the mistake made on purpose.

Each suspect is a sentence and a change to the inputs or attributes of a case. The changed case is evaluated in float64,
so a port's wrong answer can be compared with that of each mistake.
"""

import numpy as np

from nsn_ref.errors import NSNError
from nsn_ref.golden import schema
from nsn_ref.golden.evaluate import as_arrays, evaluate, reference
from nsn_ref.golden.tensors import is_float

NAMES = {
    "variant": ("uncertainty", "classification", "bounded"),
    "activation": ("relu", "gelu", "gelu_tanh", "silu"),
    "approximate": ("none", "tanh"),
}
SHORT = {
    24: "the operands of products are rounded to float32",
    11: "the operands of products are rounded to 11 bits, as in TF32 or float16",
    8: "the operands of products are rounded to 8 bits, as in bfloat16",
}


def recomputed(case):
    """Pairs of a sentence and the outputs that the mistake gives, made one after another.

    Parameters
    ----------
    case : SuiteCase

    Yields
    ------
    sentence : str
    outputs : dict of str to ndarray, float64
    """
    inputs = {name: x.astype(np.float64) if is_float(x) else x for name, x in case.inputs.items()}
    for sentence, changed, attrs in _changes(case, inputs):
        with np.errstate(all="ignore"):
            try:
                outputs = as_arrays(evaluate(reference(), case.op, changed, attrs))
            except (NSNError, ArithmeticError, ValueError, LookupError):
                continue  # the operation refuses the mistake: no port can have made it
        yield sentence, {name: np.asarray(x).view(np.ndarray) for name, x in outputs.items()}
    if {"m.s", "weight_decay"} <= inputs.keys() | case.attrs.keys():
        decay = case.attrs["lr"] * case.attrs["weight_decay"] * inputs["param.s"]
        yield "s is decayed with the weights", {"param.s": case.outputs["param.s"].expected - decay}


def _changes(case, inputs):
    """Sentence, inputs and attributes of every mistake that is possible here."""
    attrs = case.attrs
    yield from _ranks(case.op, inputs, attrs)
    yield from ((sentence, inputs | changed, attrs) for sentence, changed in _log_variances(inputs, attrs))
    yield from ((sentence, inputs | changed, attrs) for sentence, changed in _layers(inputs))
    yield from ((sentence, inputs, attrs | changed) for sentence, changed in _attributes(attrs))
    for bits, sentence in SHORT.items():
        yield sentence, {name: _shortened(x, bits) for name, x in inputs.items()}, attrs


def _ranks(op, inputs, attrs):
    if "rank" in attrs and "A" in inputs:
        r = attrs["rank"]
        limits = _limits(r, inputs["A"], inputs.get("B"))
        for other, sentence in {
            **{limit: f"this is the result at rank {limit}, {what}" for limit, what in limits.items()},
            r - 1: f"this is the result at rank {r - 1}: the rank is one too small",
            r + 1: f"this is the result at rank {r + 1}: the rank is one too large",
        }.items():
            if other != r:
                yield sentence, inputs, attrs | {"rank": other}
    if "ranks" not in attrs:
        return
    ranks, R = attrs["ranks"], _stored(inputs, attrs)
    for step, word in ((-1, "small"), (1, "large")):
        moved = [min(max(r + step, 1), R) for r in ranks]
        yield f"every rank is one too {word}", inputs, attrs | {"ranks": moved}
    yield "every rank is run at the largest one", inputs, attrs | {"ranks": [max(ranks)] * len(ranks)}
    if len(set(ranks)) < len(ranks):
        keep = [k for k, r in enumerate(ranks) if r not in ranks[:k]]
        yield "a rank that is listed twice counts once", *_only(op, inputs, attrs, keep)
    if len(ranks) > 1:
        for k, r in enumerate(ranks):
            yield (
                f"this is the share of rank {r} alone: overwritten instead of accumulated",
                *_only(op, inputs, attrs, [k]),
            )


def _stored(inputs, attrs):
    """R, by whichever tensor or attribute has it."""
    tensors = [inputs[name] for name in ("s", "param.s", "A", "weights") if name in inputs]
    return len(tensors[0]) if tensors else attrs.get("R", max(attrs["ranks"]))


def _limits(r, A, B):
    """Ranks that a mistake runs every layer at, or stops at, and how."""
    limits = {A.shape[0]: "which is R: the rank is ignored"}
    if B is not None and A.ndim == B.ndim == 2 and r > min(A.shape[1], B.shape[0]):
        limits |= {min(A.shape[1], B.shape[0]): "which is min(d_in, d_out): the rank is clipped"}
    return limits


def _only(op, inputs, attrs, keep):
    """The operation with some of its ranks only: inputs with an axis K are cut."""
    axes = {t.name: t.axes.split() for t in schema.operation(op).tensors("inputs", attrs).values()}
    cut = {name: x[keep] if axes[name][:1] == ["K"] else x for name, x in inputs.items()}
    return cut, attrs | {"ranks": [attrs["ranks"][k] for k in keep]}


def _log_variances(inputs, attrs):
    for name in ("s", "param.s"):
        if name not in inputs:
            continue
        s = inputs[name]
        if "ranks" in attrs:
            by_position = s.copy()
            by_position[np.array(attrs["ranks"]) - 1] = s[: len(attrs["ranks"])]
            yield "s is looked up by position in the list of ranks, not by rank", {name: by_position}
            yield "s is looked up at r instead of r - 1", {name: np.roll(s, -1)}
        yield "the sign of s is reversed", {name: -s}
        yield "s is taken as 0", {name: 0 * s}
        if np.abs(s).max() > 5:
            yield "s is clipped to -5..5", {name: np.clip(s, -5, 5)}


def _layers(inputs):
    biases = [name for name in inputs if name.rpartition(".")[2] == "b" and name[:2] not in ("m.", "v.")]
    for chosen in ([name] for name in biases):
        yield f"the bias {chosen[0]} is missing", {name: 0 * inputs[name] for name in chosen}
        yield f"the bias {chosen[0]} is added twice", {name: 2 * inputs[name] for name in chosen}
    if len(biases) > 1:
        yield "all biases are missing", {name: 0 * inputs[name] for name in biases}
    if "A" in inputs and "B" in inputs:
        yield (
            "the last r components are used instead of the first",
            {
                "A": inputs["A"][::-1],
                "B": inputs["B"][:, ::-1],
            },
        )


def _attributes(attrs):
    for name, values in NAMES.items():
        for value in values:
            if name in attrs and attrs[name] != value:
                yield f"this is the result with {name} {value!r} instead of {attrs[name]!r}", {name: value}
    if "t" in attrs:
        for t in (attrs["t"] - 1, attrs["t"] + 1):
            yield f"the bias correction uses t = {t} instead of {attrs['t']}", {"t": t}
        yield "there is no bias correction", {"t": 10**9}
    if attrs.get("weight_decay"):
        yield "there is no weight decay", {"weight_decay": 0.0}
    if "beta1" in attrs and "beta2" in attrs:
        yield "beta1 and beta2 are swapped", {"beta1": attrs["beta2"], "beta2": attrs["beta1"]}


# --- shorter operands -------------------------------------------------------------------------------------------------


class _Short(np.ndarray):
    """An array whose products of matrices round their operands to `bits` significant bits first."""

    bits = None

    def __array_finalize__(self, other):
        self.bits = getattr(other, "bits", None)

    def __array_ufunc__(self, ufunc, method, *arrays, out=None, **options):
        bits = next(x.bits for x in (*arrays, *(out or ())) if isinstance(x, _Short))
        plain = [x.view(np.ndarray) if isinstance(x, _Short) else x for x in arrays]
        if ufunc is np.matmul:
            plain = [round_to_bits(x, bits) for x in plain]
        if out is not None:
            options["out"] = tuple(x.view(np.ndarray) for x in out)
        result = getattr(ufunc, method)(*plain, **options)
        return _shortened(result, bits) if isinstance(result, np.ndarray) else result


def _shortened(x, bits):
    if x.dtype.kind != "f":
        return x
    x = x.view(_Short)
    x.bits = bits
    return x


def round_to_bits(x, bits):
    """The nearest numbers with so many significant bits (of any exponent)."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)
