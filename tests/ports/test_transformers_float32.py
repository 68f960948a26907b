"""Decoders of every family against transformers as it is, in float32, within what float32 roundings can do.

The bound is statistical. Both sides round at every step; a rounding error is a random number of mean 0 (Higham & Mary,
SIAM J. Sci. Comput. 41, 2019). In float64, `Moved` moves each number that an operation reads by L u, L the longest sum
of the model and u float32's unit roundoff: its errors are at least as large, in the mean square, as those of float32.
To first order an output is off by a sum of many independent errors, so by Hoeffding's inequality it is off by more
than t times the root mean square with a probability below 2 exp(-t^2 / 2). Two outputs differ by sqrt(2) times as much;
with t = 10 / sqrt(2), that is one number in 10^10, and here there are fewer than 10^6.
"""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers_models import CASES, SHARED, Moved, batch, pair, run

from nsn_ref.nets.loss_and_grads import loss_and_grads

TIMES = 10
SAMPLES = 24


def root_mean_square(evaluate, rng, longest):
    """Of what moving each number does to the outputs of `evaluate(ops)`: the largest in each array, by its name."""
    expected = evaluate(Moved(rng, 0.0))
    samples = [evaluate(Moved(rng, longest * 2.0**-24)) for _ in range(SAMPLES)]
    return {
        name: np.sqrt(np.mean([(sample[name] - value) ** 2 for sample in samples], axis=0)).max()
        for name, value in expected.items()
    }


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("n", "T", "padding"), [(3, 7, None), (3, 7, "left"), (5, 11, "right"), (1, 2, None)])
def test_logits_loss_and_every_gradient(rng, tmp_path, case, n, T, padding):
    model = pair(case, tmp_path, np.float32)
    tokens, mask, labels = batch(rng, n, T, padding)
    theirs, loss = run(model.model, tokens, mask, labels)
    exact = {name: p.astype(np.float64) for name, p in model.params.items()}

    def evaluate(ops, params=exact):
        out = loss_and_grads(
            model.decoder, params, tokens, labels, [1], objective="sum", mask=mask if padding else None,
            **({} if ops is None else {"ops": ops}),
        )  # fmt: skip
        return out.grads | {"logits": out.logits[0][mask], "loss": out.losses}

    longest = max(SHARED["vocab_size"], tokens.size)  # sums over a row of logits; over tokens, for gradients
    spread = root_mean_square(evaluate, rng, longest)
    ours = evaluate(None, model.params)
    expected = model.grads() | {"logits": theirs[mask], "loss": np.array([loss])}
    assert ours.keys() == expected.keys()
    for name, value in ours.items():
        assert value.dtype == np.float32
        error = np.abs(value.astype(np.float64) - expected[name])
        assert (error <= TIMES * spread[name]).all(), f"{name}: {error.max() / spread[name]:.3g} root mean squares"
