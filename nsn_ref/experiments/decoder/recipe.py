"""How the byte-level decoder is made, trained and fine-tuned."""

from nsn_ref.experiments.text import VOCABULARY
from nsn_ref.nets.decoder import Decoder, DecoderConfig
from nsn_ref.surgery.balance import balance
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.loop import train

SHARED = {"clip": 1.0, "weight_decay": 0.1, "beta2": 0.95}  # chosen once, for all trainings alike
PLAIN = SHARED | {"curriculum": "anchor", "objective": "sum", "lr": 3e-3}
CONTINUED = PLAIN | {"lr": 1e-3}
NESTED = SHARED | {"curriculum": "uniform", "objective": "uncertainty", "lr": 1e-3, "lr_s": 1e-2}


def byte_decoder(hidden, intermediate, blocks, heads, kv_heads, context):
    """A plain decoder of the form of Qwen2, whose tokens are bytes."""
    return Decoder(
        DecoderConfig(
            vocabulary=VOCABULARY, hidden=hidden, intermediate=intermediate, blocks=blocks, heads=heads,
            kv_heads=kv_heads, context=context, activation="silu", gated=True, norm="rms_norm", eps=1e-6,
            rotary=hidden // heads, out_bias=False, mlp_bias=False, tied=True,
        )
    )  # fmt: skip


def fit(decoder, windows, steps, batch_size, seed, *, params=None, progress=False, **settings):
    """Train on windows of a text.

    Parameters
    ----------
    decoder : Decoder
    windows : ndarray of integers, shape (n, T)
    steps, batch_size, seed : int
    params : dict of str to ndarray, optional
        What to start from.
    progress : bool
    **settings
        Of `TrainConfig`.

    Returns
    -------
    Run
    """
    config = TrainConfig(steps=steps, batch_size=batch_size, seed=seed, warmup_steps=steps // 20, **settings)
    return train(decoder, (windows, windows), config, params=params, progress=progress)


def balanced(decoder, params):
    """The same function with the factors of every layer of one scale, as gradients of one learning rate want them."""
    factors = {}
    for layer in decoder.nested_layers:
        A, B = f"{layer.key}.A", f"{layer.key}.B"
        factors[A], factors[B] = balance(params[A], params[B])
    return params | factors
