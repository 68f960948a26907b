"""Every kernel beside its reference, and how near the two must be."""

from collections.abc import Callable
from typing import NamedTuple

from nsn_ref import ops
from nsn_ref.kernels import (
    average_pool2d,
    conv2d,
    dense,
    gelu,
    mean_squared_error,
    multirank_linear,
    nested_conv2d,
    nested_linear,
    objective,
    optimizers,
    relu,
    silu,
    softmax_cross_entropy,
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
        )
        for name in (f"{stem}_forward", f"{stem}_backward")
    ),
    Pair(reference_optimizers.adamw_step, optimizers.adamw_step, "bits"),
    Pair(reference_optimizers.sgd_step, optimizers.sgd_step, "bits"),
)
