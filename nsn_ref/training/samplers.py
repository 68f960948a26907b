"""Random choices of a training run, each a pure function of the seed and of where it is used.

No generator is carried from step to step: what a step draws depends on nothing before it, so a resumed run draws the
same without any saved state.
"""

import functools

import numpy as np

STREAMS = {"parameters": 0, "batches": 1, "ranks": 2}


def generator(seed, stream, index=0):
    """The generator of one use: the parameters, the batches of an epoch, or the ranks of a step."""
    return np.random.default_rng([seed, STREAMS[stream], index])


def steps_per_epoch(n, batch_size):
    """Batches in one pass over n rows; the last one may be smaller."""
    return -(-n // batch_size)


def batch(seed, step, n, batch_size):
    """Indices of the rows of one step (from 0): every epoch visits every row once, in an order of its own."""
    epoch, position = divmod(step, steps_per_epoch(n, batch_size))
    return _order(seed, epoch, n)[position * batch_size : (position + 1) * batch_size]


@functools.lru_cache(maxsize=1)
def _order(seed, epoch, n):
    return generator(seed, "batches", epoch).permutation(n)
