"""Cases of what decoders have: embedding, rotary embedding, attention, gated activations; and of whole decoders."""

from functools import partial
from typing import NamedTuple

import numpy as np

from nsn_ref.certify import formats
from nsn_ref.golden import contracts, schema
from nsn_ref.golden.cases.case import ALL, MIXED, NO_PRODUCTS, PLAIN, Design
from nsn_ref.golden.cases.draws import LARGE, designs, rising, signs, small
from nsn_ref.golden.cases.functions import beyond_exp, saturated, spread

PRODUCTS = ALL[:-1]  # nothing tells that weights, if any, are float32

# --- embedding --------------------------------------------------------------------------------------------------------


def embedding(shape, V, d, rng, dtype):
    """Tokens of which one occurs twice and one never does."""
    tokens = rng.permutation(V)[: np.prod(shape)]
    tokens[-1] = tokens[0]
    return {"tokens": tokens.reshape(shape), "E": rng.standard_normal((V, d))}


def every_token(rng, dtype):
    """Each token of a small vocabulary, token 0 twice; as many columns as rows."""
    return {"tokens": np.append(rng.permutation(5), 0), "E": rng.standard_normal((5, 5))}


def one_token(rng, dtype):
    """Small integers, and one token only."""
    return {"tokens": np.full((5,), 3), "E": small(rng, 7, 3)}


def cancelling(rng, dtype, shape):
    """Cotangents whose large parts cancel, but whose magnitudes add up to less than the format's largest odd number."""
    large = 2.0 ** (formats.named(contracts.default(dtype).storage).bits - 2) - 3
    return signs(rng, *shape) + large * np.array([1.0, -1.0, 1.0, -1.0, 0.0])[:, None]


_EMBEDDING = (
    ("real-001", "certified", {}, partial(embedding, (5,), 13, 7), "repeated token",
     "The gradient of a token that occurs twice is overwritten instead of added up, or an unused token gets one."),
    ("sequence-001", "certified", {}, partial(embedding, (2, 3), 11, 5), "two leading axes",
     "With tokens of shape (n, T) the gradient takes the positions of one row only."),
    ("every-token-001", "certified", {}, every_token, "token 0",
     "Token 0 is taken for padding, or tokens are counted from 1; a square E is transposed."),
    ("one-token-001", "exact", {}, one_token, "inexact accumulation",
     "Large cotangents of one token cancel: a result off by one unit is an accumulation in a shorter format.",
     cancelling),
)  # fmt: skip

# --- rotary embedding -------------------------------------------------------------------------------------------------


def rotated(n, T, H, D, P, own, rng, dtype):
    """Normal numbers, and the tables of random positions; position 0, which rotates nothing, is not among them."""
    positions = rng.integers(1, 60, (n, T) if own else (T,))
    angle = positions[..., None] * 10.0 ** (-2 * np.arange(P) / P)
    return {"x": rng.standard_normal((n, T, H, D)), "cos": np.cos(angle), "sin": np.sin(angle)}


def quarter_turns(rng, dtype):
    """Integers, and multiples of a quarter turn."""
    turns = rng.permutation(np.arange(15) % 4).reshape(5, 3)
    tables = {"cos": np.array([1.0, 0.0, -1.0, 0.0])[turns], "sin": np.array([0.0, 1.0, 0.0, -1.0])[turns]}
    return {"x": LARGE[dtype] * signs(rng, 2, 5, 3, 7) + small(rng, 2, 5, 3, 7) % 2} | tables


def integers(rng, dtype, shape):
    """Small integers without zero."""
    return small(rng, *shape)


def _rotary(name, n, T, H, D, P, flag, why, own=False):
    attrs = {"tables": "own" if own else "shared"}
    return name, "certified", attrs, partial(rotated, n, T, H, D, P, own), flag, why


_ROTARY = (
    _rotary("whole-001", 2, 5, 3, 14, 7, "pairs",
            "Neighbours (2 i, 2 i + 1) are rotated instead of i and i + P, or to the other side."),
    _rotary("part-001", 2, 3, 5, 11, 2, "unrotated rest",
            "The rest of the head is rotated too, or set to zero, or the rotated part is the last one."),
    _rotary("own-tables-001", 3, 5, 2, 7, 3, "positions of each sequence",
            "Every sequence is rotated by the angles of the first.", own=True),
    _rotary("square-001", 4, 4, 4, 4, 2, "axes",
            "Sequences, positions, heads and coordinates are equally many: no shape tells that two are swapped.",
            own=True),
    _rotary("one-position-001", 1, 1, 3, 6, 3, "one position", "A single position of a single sequence loses an axis."),
    ("quarter-turns-001", "exact", {"tables": "shared"}, quarter_turns, "sign of the rotation",
     "Quarter turns of integers: a sign is wrong, or a factor is rounded.", integers),
)  # fmt: skip

# --- attention --------------------------------------------------------------------------------------------------------


def attention(n, T, H, D, S, G, hidden, rng, dtype):
    """Normal numbers; `hidden` are the places of padding, (sequence, key)."""
    size = 1.0 if dtype in PLAIN else 0.6  # what z is wrong by, the weights are wrong by relatively
    mask = np.ones((n, S), np.int64)
    for place in hidden:
        mask[place] = 0
    return {
        "q": size * rng.standard_normal((n, T, H, D)),
        "k": size * rng.standard_normal((n, S, G, D)),
        "v": rng.standard_normal((n, S, G, D)),
        "mask": mask,
    }


def large_scores(rng, dtype):
    """Scores whose exp is infinite."""
    tensors, size = attention(2, 5, 2, 3, 5, 2, (), rng, dtype), 40 if dtype == "float64" else 12
    return tensors | {name: size * tensors[name] for name in "qk"}


def larger_later(rng, dtype):
    """The largest score of every query is that of a key which it may not see, by more than the range of exp."""
    tensors = attention(1, 3, 2, 5, 4, 2, ((0, 3),), rng, dtype)
    tensors["q"] = np.abs(tensors["q"]) + 0.5
    tensors["k"][:, -1] = 400 + np.abs(tensors["k"][:, -1])
    return tensors


def alternating(*shape):
    """Signs that alternate along every axis but the last, times a slope along the last."""
    return (-1.0) ** np.indices(shape)[:-1].sum(axis=0) * np.linspace(0.7, 1.3, shape[-1])


def aligned(rng, dtype):
    """Small scores, and terms of one sign in every sum of the backward pass: bounds are small beside the gradients."""
    noise = attention(2, 4, 4, 3, 5, 2, (), rng, dtype)
    return noise | {
        "q": 0.2 * alternating(2, 4, 4, 3) + 0.1 * noise["q"],
        "k": alternating(2, 5, 2, 3) + 0.1 * noise["k"],
        "v": alternating(2, 5, 2, 3) + 0.1 * noise["v"],
    }


def aligned_cotangent(rng, dtype, shape):
    """As `aligned`."""
    return alternating(*shape) + 0.1 * rng.standard_normal(shape)


def _attention(name, sizes, flag, why, hidden=(), scale=None, window=None):
    n, T, H, D, S, G = sizes
    attrs = {"scale": D**-0.5 if scale is None else scale, "window": S if window is None else window}
    return name, "certified", attrs, partial(attention, n, T, H, D, S, G, hidden), flag, why


_ATTENTION = (
    _attention("real-001", (2, 5, 3, 7, 5, 3), "causal mask",
               "A query sees the keys after it, or does not see its own."),
    _attention("grouped-001", (2, 3, 6, 5, 3, 2), "heads of a group",
               "Query head h uses key head h % G instead of h // (H / G), or its gradient is that of one query head."),
    _attention("multi-query-001", (2, 3, 5, 7, 3, 1), "one key head",
               "With one key head its gradient is not the sum over all query heads."),
    _attention("earlier-keys-001", (2, 3, 2, 5, 7, 1), "keys of a cache",
               "With more keys than queries the queries are taken for the first positions instead of the last."),
    _attention("one-query-001", (3, 1, 4, 5, 7, 2), "one query",
               "A single query loses an axis, or sees the first key only."),
    _attention("padding-001", (2, 5, 2, 3, 5, 2), "padding",
               "Padding is seen; or a query that sees nothing gives NaN or the mean of all values, not zero.",
               hidden=((0, 0), (0, 1), (1, 2))),
    _attention("window-001", (2, 7, 2, 3, 7, 1), "window",
               "The window is one too wide or too narrow, or does not count the query's own key.", window=3),
    _attention("window-padding-001", (2, 5, 3, 7, 7, 3), "window and padding",
               "The window counts keys that are not padding, instead of positions.",
               hidden=((0, 3), (1, 5)), window=3, scale=0.3),
    _attention("unscaled-001", (2, 5, 2, 3, 5, 2), "scale", "The scale is 1 / sqrt(D), whatever is asked for.",
               scale=1.0),
    ("aligned-001", "certified", {"scale": 3**-0.5, "window": 5}, aligned, "gradient of the softmax",
     "The gradient of the softmax lacks its second term, or the scale is missing from the gradient of q or of k.",
     aligned_cotangent),
    _attention("square-001", (4, 4, 4, 4, 4, 4), "axes",
               "Sequences, positions, heads and coordinates are equally many: no shape tells that two are swapped."),
)  # fmt: skip
_FAR = (
    ("large-scores-001", "certified", {"scale": 3**-0.5, "window": 5}, large_scores, "overflow of exp(scores)",
     "Scores of several hundred, in float64 of thousands: exp overflows unless the largest is subtracted."),
    ("larger-later-001", "certified", {"scale": 5**-0.5, "window": 4}, larger_later, "largest score that is seen",
     "The largest score is that of a hidden key: subtracted, it leaves 0 / 0."),
)  # fmt: skip

# --- gated activations ------------------------------------------------------------------------------------------------


def gated(draw, rng, dtype):
    """A gate, and as many normal numbers."""
    gate = draw(rng, dtype)["z"]
    return {"gate": gate, "up": rng.standard_normal(gate.shape)}


def _gated(attrs, prefix=""):
    rows = (
        ("real-001", partial(spread, -2.0, 2.0, (5, 7)), "gate and up",
         "The activation is that of the other factor, or its gradient lacks the other factor."),
        ("negative-001", partial(spread, -6.0, -0.25, (23,)), "cancellation",
         "The activation cancels for gates between -6 and 0, or its derivative does."),
        ("saturated-001", saturated, "overflow", "Far from zero the derivative is not that of 0 or of the gate."),
        ("sequence-001", partial(spread, -4.0, 4.0, (2, 3, 5)), "shape",
         "With three axes the shape is changed, or the cotangent of the wrong element is used."),
    )  # fmt: skip
    return tuple((prefix + name, "certified", attrs, partial(gated, draw), *said) for name, draw, *said in rows)


_BEYOND = (
    "beyond-001", "certified", {}, partial(gated, beyond_exp), "overflow of exp",
    "exp(gate) or exp(-gate) is infinite, and a quotient of two infinities is taken.",
)  # fmt: skip

_GEGLU = (*_gated({"approximate": "none"}, "erf-"), *_gated({"approximate": "tanh"}, "tanh-"))

# --- whole decoders: one block of each family, and two --------------------------------------------------------------


class Net(NamedTuple):
    """Sizes of a decoder."""

    family: str
    blocks: int
    n: int
    T: int
    V: int
    hidden: int
    width: int
    heads: int
    kv_heads: int
    D: int
    R: int
    rotary: int
    window: int = 4  # T or more: all
    context: int = 5  # rows of the table of positions, if there is one: more than T
    added: float = 1.0  # size of what a block adds to the residual stream

    @property
    def attrs(self):
        """The attributes that say what it is."""
        own = {name: getattr(self, name) for name in ("family", "blocks", "heads", "window", "rotary")}
        return own | {"rotary_base": 100.0, "eps": 1e-5}

    @property
    def sizes(self):
        """The letters of its parameters' axes."""
        widths = {"q_out": self.heads * self.D, "k_out": self.kv_heads * self.D, "width": self.width}
        return widths | {name: getattr(self, name) for name in ("V", "hidden", "R", "context")}


def decoder(net, hidden, rng, dtype):
    """Parameters that keep the residual stream larger than what is added to it, so that bounds grow slowly."""
    tokens = rng.integers(0, net.V, (net.n, net.T))
    targets, mask = rng.integers(0, net.V, (net.n, net.T)), np.ones((net.n, net.T), np.int64)
    for place in hidden:
        mask[place], targets[place] = 0, -100
    tensors = {"tokens": tokens, "targets": targets, "mask": mask}
    one = 1 - schema.decoder.FAMILIES[net.family].get("norm_offset", 0)
    for p in schema.decoder.parameters(net.attrs):
        shape = tuple(net.sizes[axis] for axis in p.axes.split())
        x, last = rng.standard_normal(shape), p.name.rpartition(".")[2]
        if last in "AB":
            x = rising(rng, net.R, shape[1:] if last == "A" else shape[:1])
            x = x / np.sqrt(2 * shape[1]) if last == "A" else x.T / np.sqrt(2 * net.R)
        elif last == "W":
            x = x / np.sqrt((4 if ".q." in p.name or ".k." in p.name else 1) * shape[1])
        if p.name.endswith((".o.W", ".down.B")):
            x = net.added * x
        tensors[f"param.{p.name}"] = one + 0.2 * x if last == "w" else 0.3 * x if last == "b" else x
    return tensors


def _net(name, net, ranks, variant, flag, why, hidden=(), formats=PLAIN):
    attrs = {"ranks": ranks} | net.attrs | {"variant": variant}
    return Design("decoder_loss_and_grads", name, "certified", attrs, partial(decoder, net, hidden), flag, why, formats)


_NEOX = Net("gpt_neox", 1, 2, 3, 11, 6, 7, 2, 2, 4, 5, 2)
_QWEN = Net("qwen2", 1, 2, 3, 11, 6, 7, 4, 2, 4, 5, 4)
_LLAMA = _QWEN._replace(family="llama", heads=6, kv_heads=3, D=2, rotary=2)
_GEMMA = _QWEN._replace(family="gemma", heads=3, kv_heads=1)
_NEO = _QWEN._replace(family="gpt_neo", T=4, heads=2, D=3, rotary=0, window=2, added=0.25)
_DECODERS = (
    _net("gpt-neox-block-001", _NEOX, [5, 2], "uncertainty", "a block of GPT-NeoX",
         "The MLP reads what attention made of the block's input, or one norm serves both branches."),
    _net("qwen2-block-001", _QWEN, [4, 5], "uncertainty", "a block of Qwen2",
         "Gate and up projection are exchanged, the tied table has one gradient, or padding is seen.",
         hidden=((0, 0),)),
    _net("llama-block-001", _LLAMA, [1, 3], "bounded", "a block of Llama",
         "The head is the embedding's table, or a head of queries reads the keys of another group.",
         hidden=((1, 0),)),
    _net("gemma-block-001", _GEMMA, [2, 5], "uncertainty", "a block of Gemma",
         "1 is not added to the weights of a norm, or to those of one norm only; the embedding is not scaled by the "
         "root of its width, or its table is as a head too; or the gate is SiLU.", hidden=((0, 0),)),
    _net("gpt-neo-block-001", _NEO, [5, 3], "classification", "a block of GPT-Neo",
         "Scores are scaled by 1 / sqrt(D), the window is one too wide or too narrow, or the table of positions is "
         "read from another place, scaled, or has no gradient.", hidden=((1, 0),)),
    _net("gpt-neox-001", _NEOX._replace(blocks=2, n=1), [4, 2], "uncertainty", "a decoder at two ranks",
         "A rank's gradient overwrites the other's, or the second block has the weights of the first."),
    _net("qwen2-padding-001", _QWEN._replace(blocks=2), [2, 4], "classification", "padding on the left",
         "Padding is seen or counts in the loss, positions are counted from the first token that is none, or labels "
         "are not those of the next place.", hidden=((0, 0), (1, 0)),
         formats=("float64",)),
)  # fmt: skip

DESIGNS = (
    *designs("embedding", _EMBEDDING, NO_PRODUCTS, MIXED),
    *designs("rotary", _ROTARY, NO_PRODUCTS),
    *designs("causal_attention", _ATTENTION, PRODUCTS),
    *designs("causal_attention", _FAR, PLAIN),
    *designs("swiglu", (*_gated({}), _BEYOND), NO_PRODUCTS),
    *designs("geglu", _GEGLU, NO_PRODUCTS),
    *_DECODERS,
)
