"""The fast twins of `nsn_ref.ops`: same names and signatures, float32 and float64 only.

They take an optional ``out`` and check types and shapes, so that no loop reads out of bounds, but not values: NaN goes
through. `PAIRS` lists each beside its reference.
"""

from nsn_ref.kernels.average_pool2d import AveragePool2dSaved, average_pool2d_backward, average_pool2d_forward
from nsn_ref.kernels.causal_attention import CausalAttentionSaved, causal_attention_backward, causal_attention_forward
from nsn_ref.kernels.conv2d import Conv2dSaved, conv2d_backward, conv2d_forward
from nsn_ref.kernels.dense import DenseSaved, dense_backward, dense_forward
from nsn_ref.kernels.embedding import EmbeddingSaved, embedding_backward, embedding_forward
from nsn_ref.kernels.geglu import GegluSaved, geglu_backward, geglu_forward
from nsn_ref.kernels.gelu import GeluSaved, gelu_backward, gelu_forward
from nsn_ref.kernels.hard_orthogonality import (
    HardOrthogonalitySaved,
    hard_orthogonality_backward,
    hard_orthogonality_forward,
)
from nsn_ref.kernels.hidden_regularisation import (
    HiddenRegularisationSaved,
    hidden_regularisation_backward,
    hidden_regularisation_forward,
)
from nsn_ref.kernels.kl_distillation import KlDistillationSaved, kl_distillation_backward, kl_distillation_forward
from nsn_ref.kernels.layer_norm import LayerNormSaved, layer_norm_backward, layer_norm_forward
from nsn_ref.kernels.logits_regularisation import (
    LogitsRegularisationSaved,
    logits_regularisation_backward,
    logits_regularisation_forward,
)
from nsn_ref.kernels.mean_squared_error import (
    MeanSquaredErrorSaved,
    mean_squared_error_backward,
    mean_squared_error_forward,
)
from nsn_ref.kernels.multirank_linear import MultirankLinearSaved, multirank_linear_backward, multirank_linear_forward
from nsn_ref.kernels.nested_conv2d import NestedConv2dSaved, nested_conv2d_backward, nested_conv2d_forward
from nsn_ref.kernels.nested_embedding import NestedEmbeddingSaved, nested_embedding_backward, nested_embedding_forward
from nsn_ref.kernels.nested_linear import NestedLinearSaved, nested_linear_backward, nested_linear_forward
from nsn_ref.kernels.objective import ObjectiveSaved, objective_backward, objective_forward
from nsn_ref.kernels.optimizers import AdamWResult, SGDResult, adamw_step, sgd_step
from nsn_ref.kernels.pairs import PAIRS, Pair
from nsn_ref.kernels.relu import ReluSaved, relu_backward, relu_forward
from nsn_ref.kernels.residual_orthogonality import (
    ResidualOrthogonalitySaved,
    residual_orthogonality_backward,
    residual_orthogonality_forward,
)
from nsn_ref.kernels.rms_norm import RmsNormSaved, rms_norm_backward, rms_norm_forward
from nsn_ref.kernels.rotary import RotarySaved, rotary_backward, rotary_forward
from nsn_ref.kernels.silu import SiluSaved, silu_backward, silu_forward
from nsn_ref.kernels.softmax_cross_entropy import (
    SoftmaxCrossEntropySaved,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from nsn_ref.kernels.swiglu import SwigluSaved, swiglu_backward, swiglu_forward
from nsn_ref.kernels.weighted_sum import WeightedSumSaved, weighted_sum_backward, weighted_sum_forward

__all__ = [
    "PAIRS",
    "AdamWResult",
    "AveragePool2dSaved",
    "CausalAttentionSaved",
    "Conv2dSaved",
    "DenseSaved",
    "EmbeddingSaved",
    "GegluSaved",
    "GeluSaved",
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
    "Pair",
    "ReluSaved",
    "ResidualOrthogonalitySaved",
    "RmsNormSaved",
    "RotarySaved",
    "SGDResult",
    "SiluSaved",
    "SoftmaxCrossEntropySaved",
    "SwigluSaved",
    "WeightedSumSaved",
    "adamw_step",
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
    "residual_orthogonality_backward",
    "residual_orthogonality_forward",
    "rms_norm_backward",
    "rms_norm_forward",
    "rotary_backward",
    "rotary_forward",
    "sgd_step",
    "silu_backward",
    "silu_forward",
    "softmax_cross_entropy_backward",
    "softmax_cross_entropy_forward",
    "swiglu_backward",
    "swiglu_forward",
    "weighted_sum_backward",
    "weighted_sum_forward",
]
