"""Every kernel beside its reference, and how near the two must be."""

from collections.abc import Callable
from typing import NamedTuple

from nsn_ref import ops
from nsn_ref.kernels import (
    average_pool2d,
    causal_attention,
    conv2d,
    dense,
    embedding,
    geglu,
    gelu,
    hard_orthogonality,
    hidden_regularisation,
    kl_distillation,
    layer_norm,
    logits_regularisation,
    mean_squared_error,
    multirank_linear,
    nested_conv2d,
    nested_embedding,
    nested_linear,
    objective,
    optimizers,
    relu,
    residual_orthogonality,
    rms_norm,
    rotary,
    silu,
    softmax_cross_entropy,
    swiglu,
    weighted_sum,
)
from nsn_ref.training import optimizers as reference_optimizers


class Pair(NamedTuple):
    """A kernel and the function that it stands for."""

    reference: Callable
    kernel: Callable
    bound: str  # "rounding": the error bound of `certify.rounding` for the reference's formula; "bits": equal bits


PAIRS = (
    *(
        Pair(getattr(ops, name), getattr(module, name), bound)
        for module, stem, bound in (
            (dense, "dense", "rounding"),
            (nested_linear, "nested_linear", "rounding"),
            (multirank_linear, "multirank_linear", "rounding"),
            (conv2d, "conv2d", "rounding"),
            (nested_conv2d, "nested_conv2d", "rounding"),
            (average_pool2d, "average_pool2d", "rounding"),
            (relu, "relu", "bits"),
            (gelu, "gelu", "rounding"),
            (silu, "silu", "rounding"),
            (softmax_cross_entropy, "softmax_cross_entropy", "rounding"),
            (mean_squared_error, "mean_squared_error", "rounding"),
            (objective, "objective", "rounding"),
            (weighted_sum, "weighted_sum", "rounding"),
            (layer_norm, "layer_norm", "rounding"),
            (rms_norm, "rms_norm", "rounding"),
            (nested_embedding, "nested_embedding", "rounding"),
            (kl_distillation, "kl_distillation", "rounding"),
            (hard_orthogonality, "hard_orthogonality", "rounding"),
            (residual_orthogonality, "residual_orthogonality", "rounding"),
            (logits_regularisation, "logits_regularisation", "rounding"),
            (hidden_regularisation, "hidden_regularisation", "rounding"),
            (embedding, "embedding", "bits"),
            (rotary, "rotary", "bits"),
            (causal_attention, "causal_attention", "rounding"),
            (swiglu, "swiglu", "rounding"),
            (geglu, "geglu", "rounding"),
        )
        for name in (f"{stem}_forward", f"{stem}_backward")
    ),
    Pair(reference_optimizers.adamw_step, optimizers.adamw_step, "bits"),
    Pair(reference_optimizers.sgd_step, optimizers.sgd_step, "bits"),
)
