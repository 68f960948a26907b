"""A prefix of the hidden units is the network whose other units are held at zero."""

import numpy as np
import pytest
from comparator_formulas import assert_gradients, at_width, cross_entropy, float64

from nsn_ref import ops
from nsn_ref.experiments.comparators.prefix import part, prefix_backward, prefix_forward


@pytest.mark.parametrize("width", [1, 5, 11])
def test_forward_and_backward(setting, batch, rng, width):
    x, labels = batch
    net = setting.dense(11)
    params = float64(net.init(rng))
    logits, saved = prefix_forward(net, params, x, width)
    assert np.allclose(logits, at_width(params, x, width), rtol=1e-13, atol=1e-13)
    _, context = ops.softmax_cross_entropy_forward(logits, labels)
    grads = prefix_backward(ops.softmax_cross_entropy_backward(np.float64(1), context), saved)
    assert_gradients(grads, lambda p: cross_entropy(at_width(p, x, width), labels), params, rng)
    outside = {name: np.ones(p.shape, bool) for name, p in grads.items()}
    for name, where in part(net, width).items():
        outside[name][where] = False
        assert (grads[name][outside[name]] == 0).all()
