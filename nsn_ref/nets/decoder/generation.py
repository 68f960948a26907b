"""Text from a decoder, token by token: the most likely one, or one drawn from the k most likely."""

import numpy as np

from nsn_ref import checks
from nsn_ref import ops as reference
from nsn_ref.errors import OptionError, ShapeError
from nsn_ref.nets.chain import run_forward
from nsn_ref.nets.decoder.blocks import decoder_layers
from nsn_ref.nets.decoder.cache import KVCache
from nsn_ref.nets.decoder.embedding import TABLE
from nsn_ref.nets.decoder.sequences import on_sequences


def generate(
    decoder, params, tokens, count, rank=None, *, temperature=0.0, top_k=None, rng=None, mask=None, cached=True,
    ops=reference,
):  # fmt: skip
    """Continue sequences.

    Parameters
    ----------
    decoder : Decoder
    params : dict of str to ndarray, float32 or float64
    tokens : ndarray of integers, shape (n, T)
        The prompts; shorter ones are padded on the left.
    count : int, >= 1
        New tokens of each.
    rank : int, tuple or dict, optional
        As for `Decoder.forward`. Default: all components.
    temperature : float, >= 0
        Divides the logits; at 0 the most likely token is taken, the first one among equals.
    top_k : int, >= 1, optional
        Draw from as many of the most likely tokens. Default: from all.
    rng : numpy.random.Generator, optional
        Needed above temperature 0; one number is drawn for each sequence and token.
    mask : ndarray of bool, shape (n, T), optional
        False at padding.
    cached : bool
        Keep keys and values, so that a token costs one position. Without, every token runs all of them: the same
        logits to rounding.
    ops : module
        `nsn_ref.ops`, or `nsn_ref.kernels`.

    Returns
    -------
    ndarray of integers, shape (n, T + count)
        The prompts and what follows.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, LabelError, OptionError
    """
    decoder.check("generate", params, tokens)
    checks.real_floats("generate", TABLE, params[TABLE])
    _check_options(decoder.config, tokens, count, temperature, top_k, rng)
    ranks = decoder.layer_ranks(decoder.R if rank is None else rank, "generate")
    seen = np.ones(tokens.shape, dtype=bool) if mask is None else mask
    checks.booleans("generate", "mask", seen, tokens.shape)
    if not seen[:, -1].all():
        raise OptionError("generate: mask is False at the last position, expected padding on the left")
    cache = KVCache(decoder.config, len(tokens), tokens.shape[1] + count, params[TABLE].dtype) if cached else None
    for _ in range(count):
        logits = next_logits(decoder.config, params, tokens, seen, ranks, cache, ops)
        new = choose(logits, temperature, top_k, rng)[:, None].astype(tokens.dtype)
        tokens, seen = np.hstack([tokens, new]), np.hstack([seen, np.ones_like(new, dtype=bool)])
    return tokens


def next_logits(config, params, tokens, mask, ranks, cache=None, ops=reference):
    """Logits of what follows sequences, (n, vocabulary); positions that a cache holds are not run again.

    Nothing is checked. A position counts the tokens before it that are no padding.
    """
    done = 0 if cache is None else cache.length
    positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)[:, done:]
    sequences = on_sequences(config, positions, mask, params[TABLE], cache)
    logits, _ = run_forward(decoder_layers(config, sequences), params, tokens[:, done:], ranks, ops)
    if cache is not None:
        cache.length = tokens.shape[1]
    return logits[:, -1]


def choose(logits, temperature, top_k, rng):
    """A token for each row of logits (n, vocabulary)."""
    if temperature == 0:
        return logits.argmax(axis=1)
    order = np.argsort(-logits, axis=1, kind="stable")[:, :top_k]
    z = np.take_along_axis(logits, order, axis=1).astype(np.float64)
    below = np.cumsum(np.exp((z - z[:, :1]) / temperature), axis=1)
    place = (below <= rng.random((len(logits), 1)) * below[:, -1:]).sum(axis=1, keepdims=True)
    return np.take_along_axis(order, place, axis=1)[:, 0]


def _check_options(config, tokens, count, temperature, top_k, rng):
    checks.integer("generate", "count", count, 1)
    if tokens.shape[1] + count > config.context:
        got = f"tokens has shape {tokens.shape} and count is {count}"
        raise ShapeError(f"generate: {got}, expected at most {config.context} positions together, the context")
    checks.between("generate", "temperature", temperature, 0, open_high=True)
    if top_k is not None:
        checks.integer("generate", "top_k", top_k, 1, config.vocabulary)
    if temperature > 0 and not isinstance(rng, np.random.Generator):
        raise OptionError(f"generate: rng is {rng!r}, expected a numpy.random.Generator above temperature 0")
