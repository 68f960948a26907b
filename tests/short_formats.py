"""Rounding of a port that computes in float32 and stores in a shorter format."""

import numpy as np

from nsn_ref.golden.ports import Call


def assert_rounds_to_nearest_even(port, dtype):
    """Sums of two numbers that float32 holds exactly: halves of a unit, subnormal results and overflow among them."""
    rng = np.random.default_rng(11)
    bits, lowest = (11, -18) if dtype == np.float16 else (8, -30)
    exponent = rng.integers(lowest, 14, 3000)
    a = rng.integers(2 ** (bits - 1), 2**bits, 3000) * 2.0 ** (exponent - bits + 1)
    b = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), 3000) * 2.0 ** (exponent - bits - rng.integers(0, bits, 3000))
    x = np.stack([a * rng.choice([-1, 1], 3000), b], axis=1).astype(dtype)
    if dtype == np.float16:
        x = np.concatenate([x, np.array([[65504, 15.99], [65504, 16], [-65504, -40], [65504, 0]], dtype)])
    with np.errstate(over="ignore"):
        want = x.astype(np.float32).sum(axis=1, keepdims=True).astype(dtype)
    inputs = {"x": x, "W": np.ones((1, 2), dtype), "b": np.zeros(1, dtype)}
    ((_, answer),) = port.answers([Call("dense_forward", inputs, {})])
    assert not answer.error, answer.error
    y = answer.outputs["y"]
    assert y.dtype == want.dtype and y.shape == want.shape
    wrong = np.flatnonzero((y.view(np.int16) != want.view(np.int16)) & (want != 0))
    assert not len(wrong), (x[wrong[0]], y[wrong[0]], want[wrong[0]])
    assert len(np.unique(want.astype(np.float64))) > 1000
