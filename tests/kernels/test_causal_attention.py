"""The attention kernel where its blocks end, and where a query sees no key."""

import numpy as np
import pytest
from helpers import assert_number_type, normal, outputs_and_gradients

from nsn_ref import kernels, ops
from nsn_ref.certify import rounding
from nsn_ref.errors import OptionError, ShapeError

MASK = np.array([[False, False, True, True, False, True, True], [True, False, False, False, True, True, True]])
OPTIONS = [{}, {"window": 3}, {"window": 1, "mask": MASK}, {"mask": MASK, "scale": 0.3}]


@pytest.mark.parametrize("block", [1, 2, 3, 128])
@pytest.mark.parametrize("options", OPTIONS, ids=["all", "window", "own key", "padding"])
@pytest.mark.parametrize("T", [7, 4])
def test_blocks_and_queries_without_keys(monkeypatch, rng, block, options, T):
    """Two evaluations within the rounding bound of the exact values differ by at most twice that."""
    monkeypatch.setattr(kernels.causal_attention, "BLOCK", block)
    inputs = normal(rng, (2, T, 6, 5), (2, 7, 2, 5), (2, 7, 2, 5))
    dy = rng.standard_normal((2, T, 6, 5))
    found, expected, bounds = (
        outputs_and_gradients(
            lambda *x, module=module: module.causal_attention_forward(*x, **options),
            module.causal_attention_backward,
            [number(x) for x in inputs],
            number(dy),
        )
        for module, number in ((kernels, np.copy), (ops, np.copy), (ops, rounding.rounded))
    )
    assert_number_type(np.float64, *found)
    for value, other, bound in zip(found, expected, map(rounding.errors, bounds), strict=True):
        assert (np.abs(value - other) <= 2 * bound).all()
    if options.get("window") == 1:
        assert (found[0][0, MASK[0, 7 - T :].argmin()] == 0).all()


@pytest.mark.parametrize("shape", [(0, 3, 6, 5), (2, 0, 6, 5)])
def test_empty_batches(shape):
    q = np.ones(shape)
    y, saved = kernels.causal_attention_forward(q, q, q)
    assert [x.shape for x in (y, *kernels.causal_attention_backward(y, saved))] == [shape] * 4


def test_bad_input_is_named(rng):
    q, k = normal(rng, (2, 3, 6, 5), (2, 3, 4, 5))
    with pytest.raises(ShapeError, match="causal_attention_forward: k has 3 positions and 4 heads"):
        kernels.causal_attention_forward(q, k, k)
    with pytest.raises(OptionError, match="causal_attention_forward: window is 0"):
        kernels.causal_attention_forward(q, q, q, window=0)
