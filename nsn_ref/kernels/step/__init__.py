"""A whole training step as one compiled function that a team of threads runs together.

`MLPStep` and `ConvStep` are what Python sees; `make_step` makes that of a network. Read `step` for the order of things,
`passes` for the products of a layer, `images` for what a convolution adds to them, `layout` and `image_layout` for
where everything lies, `team` for the threads, `blas` for the products themselves.
"""

from nsn_ref.kernels.step.choice import make_step, unfit
from nsn_ref.kernels.step.compiled import StepResult, adamw_rates, sgd_rates
from nsn_ref.kernels.step.conv import ConvStep
from nsn_ref.kernels.step.mlp import MLPStep

__all__ = ["ConvStep", "MLPStep", "StepResult", "adamw_rates", "make_step", "sgd_rates", "unfit"]
