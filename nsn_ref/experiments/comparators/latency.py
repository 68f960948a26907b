"""How long a trained network takes to answer."""

import time

ROWS = 256  # of a batch


def seconds(predict, x, *, calls, repeats=10):
    """Of one call: the best of several means, since whatever else the machine does only adds to them.

    Parameters
    ----------
    predict : callable
    x : ndarray
    calls : int
        In a row, for one mean.
    repeats : int
        Number of means.

    Returns
    -------
    float
    """
    return min(_mean(predict, x, calls) for _ in range(repeats))


def _mean(predict, x, calls):
    began = time.perf_counter()
    for _ in range(calls):
        predict(x)
    return (time.perf_counter() - began) / calls
