"""The fast twins of `nsn_ref.ops`: same names and signatures, float32 and float64 only.

They take an optional ``out`` and check types and shapes, so that no loop reads out of bounds, but not values: NaN goes
through. `PAIRS` lists each beside its reference.
"""

from nsn_ref.kernels.average_pool2d import AveragePool2dSaved, average_pool2d_backward, average_pool2d_forward
from nsn_ref.kernels.conv2d import Conv2dSaved, conv2d_backward, conv2d_forward
from nsn_ref.kernels.dense import DenseSaved, dense_backward, dense_forward
from nsn_ref.kernels.gelu import GeluSaved, gelu_backward, gelu_forward
from nsn_ref.kernels.mean_squared_error import (
    MeanSquaredErrorSaved,
    mean_squared_error_backward,
    mean_squared_error_forward,
)
from nsn_ref.kernels.multirank_linear import MultirankLinearSaved, multirank_linear_backward, multirank_linear_forward
from nsn_ref.kernels.nested_conv2d import NestedConv2dSaved, nested_conv2d_backward, nested_conv2d_forward
from nsn_ref.kernels.nested_linear import NestedLinearSaved, nested_linear_backward, nested_linear_forward
from nsn_ref.kernels.objective import ObjectiveSaved, objective_backward, objective_forward
from nsn_ref.kernels.optimizers import AdamWResult, SGDResult, adamw_step, sgd_step
from nsn_ref.kernels.pairs import PAIRS, Pair
from nsn_ref.kernels.relu import ReluSaved, relu_backward, relu_forward
from nsn_ref.kernels.silu import SiluSaved, silu_backward, silu_forward
from nsn_ref.kernels.softmax_cross_entropy import (
    SoftmaxCrossEntropySaved,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from nsn_ref.kernels.weighted_sum import WeightedSumSaved, weighted_sum_backward, weighted_sum_forward

__all__ = [
    "PAIRS",
    "AdamWResult",
    "AveragePool2dSaved",
    "Conv2dSaved",
    "DenseSaved",
    "GeluSaved",
    "MeanSquaredErrorSaved",
    "MultirankLinearSaved",
    "NestedConv2dSaved",
    "NestedLinearSaved",
    "ObjectiveSaved",
    "Pair",
    "ReluSaved",
    "SGDResult",
    "SiluSaved",
    "SoftmaxCrossEntropySaved",
    "WeightedSumSaved",
    "adamw_step",
    "average_pool2d_backward",
    "average_pool2d_forward",
    "conv2d_backward",
    "conv2d_forward",
    "dense_backward",
    "dense_forward",
    "gelu_backward",
    "gelu_forward",
    "mean_squared_error_backward",
    "mean_squared_error_forward",
    "multirank_linear_backward",
    "multirank_linear_forward",
    "nested_conv2d_backward",
    "nested_conv2d_forward",
    "nested_linear_backward",
    "nested_linear_forward",
    "objective_backward",
    "objective_forward",
    "relu_backward",
    "relu_forward",
    "sgd_step",
    "silu_backward",
    "silu_forward",
    "softmax_cross_entropy_backward",
    "softmax_cross_entropy_forward",
    "weighted_sum_backward",
    "weighted_sum_forward",
]
