"""Reference implementation and verification suite for nested subspace networks.

The public API on one screen. `ops` are the operations, forward and backward, over every number system; `kernels`, which
is imported apart because it loads Numba, are their fast twins.
"""

from nsn_ref import errors, ops
from nsn_ref.errors import NSNError
from nsn_ref.nets.convnet import ConvNet
from nsn_ref.nets.decoder import Decoder, DecoderConfig, generate
from nsn_ref.nets.loss_and_grads import LossAndGrads, loss_and_grads
from nsn_ref.nets.mlp import MLP
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.loop import train
from nsn_ref.training.run import Run, load_run
from nsn_ref.training.weighting import Objective

__version__ = "0.1.0"

__all__ = [
    "MLP",
    "ConvNet",
    "Decoder",
    "DecoderConfig",
    "LossAndGrads",
    "NSNError",
    "Objective",
    "Run",
    "TrainConfig",
    "errors",
    "generate",
    "load_run",
    "loss_and_grads",
    "ops",
    "train",
]
