"""The reference: one operation per file, backward directly under forward, over every number system."""

from nsn_ref.ops.average_pool2d import AveragePool2dSaved, average_pool2d_backward, average_pool2d_forward
from nsn_ref.ops.causal_attention import CausalAttentionSaved, causal_attention_backward, causal_attention_forward
from nsn_ref.ops.conv2d import Conv2dSaved, conv2d_backward, conv2d_forward
from nsn_ref.ops.dense import DenseSaved, dense_backward, dense_forward
from nsn_ref.ops.embedding import EmbeddingSaved, embedding_backward, embedding_forward
from nsn_ref.ops.geglu import GegluSaved, geglu_backward, geglu_forward
from nsn_ref.ops.gelu import GeluSaved, gelu_backward, gelu_forward
from nsn_ref.ops.gradnorm import GradnormSaved, gradnorm_backward, gradnorm_forward, gradnorm_targets, renormalised
from nsn_ref.ops.hard_orthogonality import (
    HardOrthogonalitySaved,
    hard_orthogonality_backward,
    hard_orthogonality_forward,
)
from nsn_ref.ops.hidden_regularisation import (
    HiddenRegularisationSaved,
    hidden_regularisation_backward,
    hidden_regularisation_forward,
)
from nsn_ref.ops.kl_distillation import KlDistillationSaved, kl_distillation_backward, kl_distillation_forward
from nsn_ref.ops.layer_norm import LayerNormSaved, layer_norm_backward, layer_norm_forward
from nsn_ref.ops.logits_regularisation import (
    LogitsRegularisationSaved,
    logits_regularisation_backward,
    logits_regularisation_forward,
)
from nsn_ref.ops.loss_weights import analytic_weights, softmax_weights
from nsn_ref.ops.mean_squared_error import (
    MeanSquaredErrorSaved,
    mean_squared_error_backward,
    mean_squared_error_forward,
)
from nsn_ref.ops.multirank_linear import MultirankLinearSaved, multirank_linear_backward, multirank_linear_forward
from nsn_ref.ops.nested_conv2d import NestedConv2dSaved, nested_conv2d_backward, nested_conv2d_forward
from nsn_ref.ops.nested_embedding import NestedEmbeddingSaved, nested_embedding_backward, nested_embedding_forward
from nsn_ref.ops.nested_linear import NestedLinearSaved, nested_linear_backward, nested_linear_forward
from nsn_ref.ops.objective import ObjectiveSaved, objective_backward, objective_forward
from nsn_ref.ops.relu import ReluSaved, relu_backward, relu_forward
from nsn_ref.ops.residual_orthogonality import (
    ResidualOrthogonalitySaved,
    residual_orthogonality_backward,
    residual_orthogonality_forward,
)
from nsn_ref.ops.rms_norm import RmsNormSaved, rms_norm_backward, rms_norm_forward
from nsn_ref.ops.rotary import RotarySaved, rotary_backward, rotary_forward, rotary_tables
from nsn_ref.ops.silu import SiluSaved, silu_backward, silu_forward
from nsn_ref.ops.softmax_cross_entropy import (
    SoftmaxCrossEntropySaved,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from nsn_ref.ops.swiglu import SwigluSaved, swiglu_backward, swiglu_forward
from nsn_ref.ops.weighted_sum import WeightedSumSaved, weighted_sum_backward, weighted_sum_forward

__all__ = [
    "AveragePool2dSaved",
    "CausalAttentionSaved",
    "Conv2dSaved",
    "DenseSaved",
    "EmbeddingSaved",
    "GegluSaved",
    "GeluSaved",
    "GradnormSaved",
    "HardOrthogonalitySaved",
    "HiddenRegularisationSaved",
    "KlDistillationSaved",
    "LayerNormSaved",
    "LogitsRegularisationSaved",
    "MeanSquaredErrorSaved",
    "MultirankLinearSaved",
    "NestedConv2dSaved",
    "NestedEmbeddingSaved",
    "NestedLinearSaved",
    "ObjectiveSaved",
    "ReluSaved",
    "ResidualOrthogonalitySaved",
    "RmsNormSaved",
    "RotarySaved",
    "SiluSaved",
    "SoftmaxCrossEntropySaved",
    "SwigluSaved",
    "WeightedSumSaved",
    "analytic_weights",
    "average_pool2d_backward",
    "average_pool2d_forward",
    "causal_attention_backward",
    "causal_attention_forward",
    "conv2d_backward",
    "conv2d_forward",
    "dense_backward",
    "dense_forward",
    "embedding_backward",
    "embedding_forward",
    "geglu_backward",
    "geglu_forward",
    "gelu_backward",
    "gelu_forward",
    "gradnorm_backward",
    "gradnorm_forward",
    "gradnorm_targets",
    "hard_orthogonality_backward",
    "hard_orthogonality_forward",
    "hidden_regularisation_backward",
    "hidden_regularisation_forward",
    "kl_distillation_backward",
    "kl_distillation_forward",
    "layer_norm_backward",
    "layer_norm_forward",
    "logits_regularisation_backward",
    "logits_regularisation_forward",
    "mean_squared_error_backward",
    "mean_squared_error_forward",
    "multirank_linear_backward",
    "multirank_linear_forward",
    "nested_conv2d_backward",
    "nested_conv2d_forward",
    "nested_embedding_backward",
    "nested_embedding_forward",
    "nested_linear_backward",
    "nested_linear_forward",
    "objective_backward",
    "objective_forward",
    "relu_backward",
    "relu_forward",
    "renormalised",
    "residual_orthogonality_backward",
    "residual_orthogonality_forward",
    "rms_norm_backward",
    "rms_norm_forward",
    "rotary_backward",
    "rotary_forward",
    "rotary_tables",
    "silu_backward",
    "silu_forward",
    "softmax_cross_entropy_backward",
    "softmax_cross_entropy_forward",
    "softmax_weights",
    "swiglu_backward",
    "swiglu_forward",
    "weighted_sum_backward",
    "weighted_sum_forward",
]
