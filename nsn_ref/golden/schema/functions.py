"""Activations and losses."""

from nsn_ref.golden.schema.parts import Attr, Tensor, both_ways, optional

_Z, _Y = Tensor("z", "..."), Tensor("y", "...")
APPROXIMATE = Attr("approximate", "name", 'form of GELU: "none" (erf) or "tanh"')
_REDUCTION = Attr("reduction", "name", '"mean" or "sum"')
_LOGITS, _LOSS = Tensor("z", "... C"), Tensor("loss", "", master=True)

OPERATIONS = (
    *both_ways("relu", "max(z, 0); the derivative at 0 is 0", (_Z,), (), _Y, ("z",)),
    *both_ways("gelu", "z Phi(z)", (_Z,), (APPROXIMATE,), _Y, ("z",)),
    *both_ways("silu", "z / (1 + exp(-z))", (_Z,), (), _Y, ("z",)),
    *both_ways(
        "softmax_cross_entropy",
        "-sum t ln softmax(z) over rows and classes, or the mean over the rows that count",
        (
            _LOGITS,
            Tensor("targets", "...", "int64", when=("targets", "labels")),
            Tensor("targets", "... C", when=("targets", "soft")),
        ),
        (
            Attr("targets", "name", '"labels" (int64) or "soft" (target probabilities)'),
            _REDUCTION,
            Attr("ignore_index", "int", "rows with this label count nothing"),
            Attr("label_smoothing", "float", "l in [0, 1]: targets become (1 - l) t + l / C"),
        ),
        _LOSS,
        ("z",),
        (optional("p", "... C"),),
    ),
    *both_ways(
        "mean_squared_error",
        "sum of (y - targets)^2, or its mean over all elements",
        (Tensor("y", "... d"), Tensor("targets", "... d")),
        (_REDUCTION,),
        _LOSS,
        ("y",),
    ),
    *both_ways(
        "kl_distillation",
        "T^2 KL of softmax(teacher_z / T) from softmax(z / T), summed over rows, or their mean",
        (_LOGITS, Tensor("teacher_z", "... C")),
        (Attr("temperature", "float", "T"), _REDUCTION),
        _LOSS,
        ("z", "teacher_z"),
        (optional("p", "... C"), optional("q", "... C")),
    ),
)
