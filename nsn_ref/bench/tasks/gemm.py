"""Square products of one size through NumPy: what its BLAS can do."""

import numpy as np

from nsn_ref.bench.engines import Steps


class Gemm(Steps):
    """One product again and again."""

    def __init__(self, size, dtype):
        rng = np.random.default_rng(0)
        self.a, self.b = (rng.standard_normal((size, size)).astype(dtype) for _ in range(2))
        self.c = np.empty_like(self.a)

    def step(self, i):
        """One product."""
        return np.matmul(self.a, self.b, out=self.c)


def make(task):
    """The product of a task: its size and its dtype."""
    return Gemm(task["size"], task["dtype"])
