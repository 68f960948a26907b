"""A whole training step of a multilayer perceptron as one compiled function that a team of threads runs together.

`mlp.MLPStep` is what Python sees. Read `step` for the order of things, `passes` for the products of a layer, `layout`
for where everything lies, `team` for the threads, `blas` for the products themselves.
"""

from nsn_ref.kernels.step.mlp import MLPStep, StepResult, adamw_rates, sgd_rates

__all__ = ["MLPStep", "StepResult", "adamw_rates", "sgd_rates"]
