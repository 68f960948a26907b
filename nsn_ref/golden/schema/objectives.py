"""What turns the losses of K ranks into one total: weights, objectives, regularisers; and optimiser steps."""

from nsn_ref.golden.schema.parts import RANK, RANKS, Attr, Operation, Tensor, both_ways, weight


def _master(name, axes, **others):
    return Tensor(name, axes, master=True, **others)


VARIANT = Attr("variant", "name", '"uncertainty", "classification" or "bounded"')
_R = Attr("R", "int", "number of ranks")
_TEMPERATURE = Attr("temperature", "float", "T")
_ALPHA = Attr("alpha", "float", "how strongly training rates are pulled together")
_ANCHOR = Attr("anchor", "int", "the largest rank trained, above `rank`")
_STOP = Attr("stop_anchor", "bool", "the anchor is constant: its gradient is exactly zero")
_LOSSES, _TOTAL = _master("losses", "K"), _master("total", "")
_PENALTY = _master("penalty", "")


def _distance(stem, prefix, axis):
    inputs = Tensor(f"{prefix}_anchor", f"... {axis}"), Tensor(f"{prefix}_variant", f"... {axis}")
    meaning = f"squared distance of {prefix}_anchor and {prefix}_variant, summed, over the number of rows"
    return both_ways(stem, meaning, inputs, (_STOP,), _PENALTY, (f"{prefix}_anchor", f"{prefix}_variant"))


LR = Attr("lr", "float", "learning rate")
DECAY = Attr("weight_decay", "float", "of the parameter; in a net of every parameter but s, which has none")
ADAMW = (
    Attr("t", "int", "the number of this step; the first is 1"),
    LR,
    Attr("beta1", "float", "decay of m"),
    Attr("beta2", "float", "decay of v"),
    Attr("eps", "float", "added: of a norm, to the mean square inside the root; of AdamW, to the root"),
    DECAY,
)
_STATE = tuple(_master(name, "...") for name in ("p", "g", "m", "v"))

OPERATIONS = (
    *both_ways(
        "objective",
        "total of K losses weighted by exp(-s), plus the penalties",
        (_LOSSES, weight("s", "R")),
        (RANKS, VARIANT),
        _TOTAL,
        ("losses", "s"),
        (_master("w", "K", optional=True),),
    ),
    *both_ways(
        "weighted_sum",
        "sum of weights[ranks[k]] losses[k]",
        (_LOSSES, weight("weights", "R")),
        (RANKS,),
        _TOTAL,
        ("losses", "weights"),
    ),
    Operation(
        "analytic_weights",
        "1 / losses[k] at ranks[k], the last one for a rank listed twice, else 0",
        (_LOSSES,),
        (RANKS, _R),
        (weight("weights", "R"),),
    ),
    Operation(
        "softmax_weights",
        "softmax of the K numbers 1 / (losses T), at ranks[k], the last one for a rank listed twice, else 0",
        (_LOSSES,),
        (RANKS, _R, _TEMPERATURE),
        (weight("weights", "R"),),
    ),
    Operation(
        "gradnorm_targets",
        "the gradient norm that each loss should have",
        (weight("weights", "K"), _master("norms", "K"), _LOSSES, _master("first_losses", "K")),
        (_ALPHA,),
        (_master("targets", "K"),),
    ),
    *both_ways(
        "gradnorm",
        "sum of the absolute values of weights norms - targets",
        (weight("weights", "K"), _master("norms", "K"), _master("targets", "K")),
        (),
        _master("distance", ""),
        ("weights",),
    ),
    Operation("renormalised", "weights K / sum(weights)", (weight("weights", "K"),), (), (weight("scaled", "K"),)),
    *both_ways(
        "hard_orthogonality",
        "sum of squares of A A^T - I",
        (weight("A", "R d_in"),),
        (),
        _PENALTY,
        ("A",),
    ),
    *both_ways(
        "residual_orthogonality",
        "sum of squares of A_r A_res^T, A_res being rows rank + 1..anchor of A",
        (weight("A", "R d_in"),),
        (RANK, _ANCHOR),
        _PENALTY,
        ("A",),
    ),
    *_distance("logits_regularisation", "z", "C"),
    *_distance("hidden_regularisation", "h", "d"),
    Operation("adamw_step", "one step of AdamW", _STATE, ADAMW, (_STATE[2], _STATE[3], _STATE[0])),
    Operation(
        "sgd_step",
        "one step of gradient descent with momentum; the decay is added to the gradient",
        _STATE[:3],
        (LR, Attr("momentum", "float", "what is kept of m"), DECAY),
        (_STATE[2], _STATE[0]),
    ),
)
