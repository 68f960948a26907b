"""The loss of the next token, summed token by token."""

import numpy as np

from nsn_ref.analysis.perplexity import losses_at_ranks
from nsn_ref.nets.decoder import Decoder, DecoderConfig


def test_the_mean_over_every_predicted_token(rng):
    """One window at a time, one token at a time, with the softmax written out; batches do not matter."""
    config = DecoderConfig(
        vocabulary=29, hidden=12, intermediate=17, blocks=2, heads=3, context=16, nested=(("blocks.1.mlp.up", 5),)
    )
    net = Decoder(config)
    params = {name: rng.standard_normal(shape) for name, shape in net.shapes().items()}
    windows = rng.integers(0, 29, (5, 7))
    expected = []
    for rank in (5, 2):
        losses = []
        for window in windows:
            for t in range(1, 7):
                z, _ = net.forward(params, window[None, :t], rank)
                losses.append(np.log(np.exp(z[0, -1]).sum()) - z[0, -1, window[t]])
        expected.append(np.mean(losses))
    seen = []
    found = losses_at_ranks(net, params, windows, [5, 2], batch=2, progress=lambda: seen.append(1))
    assert (np.abs(found - expected) <= 1e-12 * np.abs(expected)).all() and len(seen) == 6
