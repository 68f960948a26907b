"""Decoders of every family against transformers in float64: logits, loss, and the gradient of every parameter."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers_models import CASES, Magnitudes, batch, largest, pair, run

from nsn_ref.nets.loss_and_grads import loss_and_grads

TOLERANCE = 1e-9  # of the sum of the terms' absolute values


def assert_close(got, expected, magnitude):
    """Within 1e-9 of the terms' magnitude, element by element."""
    assert got.shape == expected.shape
    assert (np.abs(got - expected) <= TOLERANCE * magnitude).all()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("n", "T", "padding"), [(3, 7, None), (3, 7, "left"), (5, 11, "right"), (1, 2, None)])
def test_logits_loss_and_every_gradient(rng, lifted, tmp_path, case, n, T, padding):
    model = pair(case, tmp_path, np.float64)
    tokens, mask, labels = batch(rng, n, T, padding)
    theirs, loss = run(model.model, tokens, mask, labels)
    given = {"mask": mask} if padding else {}
    ours, magnitudes = (
        loss_and_grads(model.decoder, model.params, tokens, labels, [1], objective="sum", **given, **options)
        for options in ({}, {"ops": Magnitudes()})
    )
    _, saved = model.decoder.forward(model.params, tokens, 1, **given)
    x, W = saved.contexts[-1]
    assert_close(ours.logits[0][mask], theirs[mask], (largest(x) @ np.abs(W).T)[mask])  # padding's have no meaning
    assert_close(ours.losses[0], np.float64(loss), loss)
    grads = model.grads()
    assert ours.grads.keys() == grads.keys()
    for name, g in grads.items():
        assert_close(ours.grads[name], g, magnitudes.grads[name])
