"""Perplexity of a decoder at several ranks."""

import numpy as np

from nsn_ref import ops as reference


def losses_at_ranks(decoder, params, windows, ranks, *, ops=reference, batch=8, progress=lambda: None):
    """Mean cross-entropy of the next token in nats, at each of several ranks; exp of it is the perplexity.

    Parameters
    ----------
    decoder : Decoder
    params : dict of str to ndarray
    windows : ndarray of integers, shape (n, T)
        Pieces of a text, T >= 2: each token but a piece's first is predicted from those before it in the piece.
    ranks : sequence of K ranks
        Each as `Decoder.layer_ranks` takes it.
    ops : module
        `nsn_ref.ops`, or `nsn_ref.kernels` for speed.
    batch : int, >= 1
        Pieces that run at once.
    progress : callable
        Called after each batch at each rank.

    Returns
    -------
    ndarray, shape (K,)

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, LabelError
    """
    totals = np.zeros(len(ranks))
    for start in range(0, len(windows), batch):
        tokens = windows[start : start + batch]
        for k, rank in enumerate(ranks):
            logits, _ = decoder.forward(params, tokens, rank, ops)
            predictions = np.ascontiguousarray(logits[:, :-1])
            loss, _ = ops.softmax_cross_entropy_forward(predictions, np.ascontiguousarray(tokens[:, 1:]))
            totals[k] += float(loss) * len(tokens)
            progress()
    return totals / len(windows)
