"""Wall-clock of a decoder per token: whole windows at once, and one token after the other."""

import statistics
import time

from nsn_ref import kernels
from nsn_ref.nets.decoder import generate

REPEATS = 5  # medians of so many; models take turns, so that a slow moment of the machine meets all of them


def seconds_per_token(models, windows):
    """Measure models side by side.

    Parameters
    ----------
    models : dict of str to (Decoder, params, rank)
    windows : ndarray of integers, shape (n, T)
        What is read at once; half of the first one is the prompt, the other half is generated anew.

    Returns
    -------
    dict of str to dict
        "reading" and "writing", seconds per token by name of the model.
    """
    half = windows.shape[1] // 2
    times = {"reading": {name: [] for name in models}, "writing": {name: [] for name in models}}
    for _ in range(REPEATS):
        for name, (decoder, params, rank) in models.items():
            began = time.perf_counter()
            decoder.forward(params, windows, rank, kernels)
            read = time.perf_counter()
            generate(decoder, params, windows[:1, :half], half, rank, ops=kernels)
            wrote = time.perf_counter()
            times["reading"][name].append((read - began) / windows.size)
            times["writing"][name].append((wrote - read) / half)
    return {what: {name: statistics.median(each) for name, each in by_name.items()} for what, by_name in times.items()}
