"""Everything that is compiled: run once for each number type, so that it lies in the cache."""

import numpy as np

from nsn_ref.bench.tasks.one_operation import prepare
from nsn_ref.kernels.common import FLOATS


def jobs():
    """Pairs of a name and a function without arguments; when all have run, nothing is left to compile."""
    from nsn_ref import kernels

    names = [pair.kernel.__name__ for pair in kernels.PAIRS]
    return [
        *((f"{name}, {dtype}", lambda n=name, d=dtype: prepare(n, kernels, d)()) for name in names for dtype in FLOATS),
        *(
            (f"{job.__name__}, {dtype}", lambda f=job, d=dtype: f(d))
            for job in (other_forms, step, inference)
            for dtype in FLOATS
        ),
    ]


def other_forms(dtype):
    """Kernels with the options that have loops of their own."""
    from nsn_ref import kernels

    x = np.ones((2, 3), dtype)
    kernels.gelu_backward(*kernels.gelu_forward(x, approximate="tanh"))
    kernels.multirank_linear_forward(x, np.ones((4, 3), dtype), np.ones((5, 4), dtype), np.ones(5, dtype), (1, 2, 4))
    y, columns, ranks = np.ones((2, 5), dtype), np.ones((3, 5), dtype), np.arange(1, 4)
    kernels.prefix.streaming_prefix_loop(y, x, columns, 0, ranks, ranks - 1, np.ones((3, 2, 5), dtype))


def step(dtype):
    """A training step of a tiny network by a team of two; that of a convolutional net is the same function."""
    from nsn_ref.kernels.step import MLPStep, adamw_rates
    from nsn_ref.nets.mlp import MLP

    rates = adamw_rates(1, lr=1e-3)
    with MLPStep(MLP((5, 7, 3), 3), dtype, rows=2, threads=2) as engine:
        engine.step(np.zeros((2, 5), dtype), np.zeros(2, np.int64), (3, 1), (rates, rates), clip=1.0)


def inference(dtype):
    """A tiny network at all ranks, and at one."""
    from nsn_ref.inference import Predictor, scores_at_ranks
    from nsn_ref.nets.mlp import MLP

    net, x = MLP((5, 7, 3), 3), np.zeros((2, 5), dtype)
    params = net.init(np.random.default_rng(0), dtype.name, "random")
    scores_at_ranks(net, params, x, np.zeros(2, np.int64))
    Predictor(net, params, 1)(x)
