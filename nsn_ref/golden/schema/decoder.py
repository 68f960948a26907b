"""What decoders have beside the layers of other networks: embedding, rotary embedding, attention, gated activations."""

from nsn_ref.golden.schema.functions import APPROXIMATE
from nsn_ref.golden.schema.parts import Attr, Tensor, both_ways, optional, weight

_TABLES = Attr("tables", "name", '"shared" by all sequences: (T, P), or each has its "own": (n, T, P)')
_SCALE = Attr("scale", "float", "what inner products of queries and keys are multiplied by")
_WINDOW = Attr("window", "int", "how many of the latest keys a query sees, its own among them; S or more: all")
_GATED = Tensor("gate", "..."), Tensor("up", "...")
_HEADS = Tensor("q", "n T H D"), Tensor("k", "n S G D"), Tensor("v", "n S G D")


def _table(name):
    return (
        Tensor(name, "T P", when=("tables", "shared")),
        Tensor(name, "n T P", when=("tables", "own")),
    )


OPERATIONS = (
    *both_ways(
        "embedding",
        "the token's row of E",
        (Tensor("tokens", "...", "int64"), weight("E", "V d")),
        (),
        Tensor("y", "... d"),
        ("E",),
    ),
    *both_ways(
        "rotary",
        "coordinates i and i + P of every head rotated by the angle of its position, for i < P",
        (Tensor("x", "n T H D"), *_table("cos"), *_table("sin")),
        (_TABLES,),
        Tensor("y", "n T H D"),
        ("x",),
    ),
    *both_ways(
        "causal_attention",
        "each query's mean of values, weighted by a softmax over the keys up to its own",
        (*_HEADS, Tensor("mask", "n S", "int64")),
        (_SCALE, _WINDOW),
        Tensor("y", "n T H D"),
        ("q", "k", "v"),
        (optional("p", "n H T S"),),
    ),
    *both_ways("swiglu", "silu(gate) up", _GATED, (), Tensor("y", "..."), ("gate", "up")),
    *both_ways("geglu", "gelu(gate) up", _GATED, (APPROXIMATE,), Tensor("y", "..."), ("gate", "up")),
)
