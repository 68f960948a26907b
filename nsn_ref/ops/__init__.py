"""The reference: one operation per file, backward directly under forward, over every number system."""

from nsn_ref.ops.dense import DenseSaved, dense_backward, dense_forward
from nsn_ref.ops.multirank_linear import MultirankLinearSaved, multirank_linear_backward, multirank_linear_forward
from nsn_ref.ops.nested_linear import NestedLinearSaved, nested_linear_backward, nested_linear_forward
from nsn_ref.ops.objective import ObjectiveSaved, objective_backward, objective_forward
from nsn_ref.ops.relu import ReluSaved, relu_backward, relu_forward
from nsn_ref.ops.softmax_cross_entropy import (
    SoftmaxCrossEntropySaved,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)

__all__ = [
    "DenseSaved",
    "MultirankLinearSaved",
    "NestedLinearSaved",
    "ObjectiveSaved",
    "ReluSaved",
    "SoftmaxCrossEntropySaved",
    "dense_backward",
    "dense_forward",
    "multirank_linear_backward",
    "multirank_linear_forward",
    "nested_linear_backward",
    "nested_linear_forward",
    "objective_backward",
    "objective_forward",
    "relu_backward",
    "relu_forward",
    "softmax_cross_entropy_backward",
    "softmax_cross_entropy_forward",
]
