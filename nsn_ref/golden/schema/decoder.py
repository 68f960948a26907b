"""What decoders have beside the layers of other networks, and whole decoders of five families."""

from nsn_ref import checks
from nsn_ref.golden.schema.functions import APPROXIMATE
from nsn_ref.golden.schema.objectives import VARIANT
from nsn_ref.golden.schema.parts import RANKS, Attr, Operation, Tensor, both_ways, optional, weight

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


_RMS_GATED = {"norm": "rms_norm", "gated": True, "out_bias": False, "mlp_bias": False}
FAMILIES = {  # name: fields of a DecoderConfig
    "gpt_neox": {"norm": "layer_norm", "activation": "gelu", "parallel": True},
    "qwen2": _RMS_GATED | {"activation": "silu", "tied": True},
    "llama": _RMS_GATED | {"activation": "silu", "qkv_bias": False},
    "gemma": _RMS_GATED | {"activation": "gelu_tanh", "qkv_bias": False, "tied": True, "norm_offset": 1.0},
    "gpt_neo": {
        "norm": "layer_norm", "activation": "gelu_tanh", "qkv_bias": False, "tied": True,
        "learned_positions": True, "rotary": 0, "attention_scale": 1.0,
    },
}  # fmt: skip
SCALED_EMBEDDING = ("gemma",)  # families that multiply the embedding of tokens by sqrt(hidden)
_NET = (
    RANKS,
    Attr("family", "name", 'how a decoder is put together: "gpt_neox", "qwen2", "llama", "gemma" or "gpt_neo"'),
    Attr("blocks", "int", "number of blocks"),
    Attr("heads", "int", "number of query heads"),
    _WINDOW,
    Attr("rotary", "int", "coordinates of each head that are rotated: 2 P"),
    Attr("rotary_base", "float", "the angle of pair i at position t is t base^(-i / P)"),
    Attr("eps", "float", "added: of a norm, to the mean square inside the root; of AdamW, to the root"),
    VARIANT,
)


def parameters(attrs):
    """The parameters of a decoder, in the order of its layers."""
    checks.choice("golden suite", "family", attrs["family"], tuple(FAMILIES))
    family = FAMILIES[attrs["family"]]
    norm = [("w", "hidden"), ("b", "hidden")][: 2 if family["norm"] == "layer_norm" else 1]
    own = [("embedding.E", "V hidden")]
    own += [("positions.E", "context hidden")] if family.get("learned_positions") else []
    for i in range(attrs["blocks"]):
        own += [(f"blocks.{i}.norm1.{name}", axes) for name, axes in norm]
        own += _attention(f"blocks.{i}.attention", family)
        own += [(f"blocks.{i}.norm2.{name}", axes) for name, axes in norm]
        own += _mlp(f"blocks.{i}.mlp", family)
    own += [(f"norm.{name}", axes) for name, axes in norm]
    own += [] if family.get("tied") else [("head.W", "V hidden")]
    return tuple(weight(name, axes) for name, axes in (*own, ("s", "R")))


def _attention(key, family):
    own = []
    for name, d_in, d_out, bias in (
        *((name, "hidden", out, "qkv_bias") for name, out in (("q", "q_out"), ("k", "k_out"), ("v", "k_out"))),
        ("o", "q_out", "hidden", "out_bias"),
    ):
        own += [(f"{key}.{name}.W", f"{d_out} {d_in}")]
        own += [(f"{key}.{name}.b", d_out)] if family.get(bias, True) else []
    return own


def _mlp(key, family):
    own = []
    for name, d_in, d_out in (
        *([("gate", "hidden", "width")] if family.get("gated") else []),
        ("up", "hidden", "width"),
        ("down", "width", "hidden"),
    ):
        own += [(f"{key}.{name}.A", f"R {d_in}"), (f"{key}.{name}.B", f"{d_out} R")]
        own += [(f"{key}.{name}.b", d_out)] if family.get("mlp_bias", True) else []
    return own


def _loss_and_grads(which, attrs):
    """The tensors of a decoder's loss and gradients."""
    named = parameters(attrs)
    if which == "inputs":
        whole = (Tensor(name, "n T", "int64") for name in ("tokens", "targets", "mask"))
        return (*whole, *(p._replace(name=f"param.{p.name}") for p in named))
    stages = Tensor("logits", "K n T V"), Tensor("losses", "K", master=True)
    stages += Tensor("w", "K", optional=True, master=True), Tensor("total", "", master=True)
    return (*stages, *(p._replace(name=f"grad.{p.name}") for p in named))


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
    Operation(
        "decoder_loss_and_grads",
        "a decoder with nested MLPs at K ranks: losses, objective, and its gradients",
        (),
        _NET,
        (),
        _loss_and_grads,
    ),
)
