"""Nested embedding at one rank: a lookup in the first r columns of the table E, then B_r.

It is the nested linear layer on one-hot inputs, with A the transpose of E, and without its products by 0 and 1.
"""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import rows, zeros_like


class NestedEmbeddingSaved(NamedTuple):
    """What the backward pass needs."""

    tokens: np.ndarray  # (...), integers
    E: np.ndarray  # (V, R)
    B: np.ndarray  # (d_out, R)
    h: np.ndarray  # (..., r): its width is the rank


def nested_embedding_forward(tokens, E, B, rank):
    """Embed tokens with the first `rank` components.

    There is no bias, as in the embedding that it replaces. Costs rank d_out multiply-adds for each token; a table of
    E[:, :rank] @ B[:, :rank].T would cost none, but V d_out numbers for each rank.

    Parameters
    ----------
    tokens : ndarray of integers in 0..V-1, shape (n,) or (n, T)
    E : ndarray, shape (V, R)
        Row v holds the coordinates of token v.
    B : ndarray, shape (d_out, R)
        Columns b_i.
    rank : int, in 1..R

    Returns
    -------
    y : ndarray, shape (n, d_out) or (n, T, d_out)
    saved : NestedEmbeddingSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, LabelError

    Notes
    -----
    Source: arXiv:2509.17874v1, Def. 1, on one-hot x (ours; the paper leaves embeddings dense).
    """
    sizes = checks.arrays("nested_embedding_forward", E=(E, "V R"), B=(B, "d_out R"))
    checks.rank("nested_embedding_forward", rank, sizes["R"])
    checks.labels("nested_embedding_forward", "tokens", tokens, None, sizes["V"])
    h = E[tokens, :rank]
    return h @ B[:, :rank].T, NestedEmbeddingSaved(tokens, E, B, h)


def nested_embedding_backward(dy, saved):
    """Gradients at the rank of the forward pass; components above it and tokens that do not occur get exactly zero.

    Parameters
    ----------
    dy : ndarray, shape (n, d_out) or (n, T, d_out)
    saved : NestedEmbeddingSaved

    Returns
    -------
    dE, dB : ndarray
        In the shapes of E, B.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: the chain rule on arXiv:2509.17874v1, Def. 1.
    """
    tokens, E, B, h = saved
    checks.cotangent("nested_embedding_backward", dy, tokens.shape + B.shape[:1], like=E)
    rank = h.shape[-1]
    dE, dB = zeros_like(E), zeros_like(B)
    dh = dy @ B[:, :rank]  # y = h @ B[:, :rank].T
    dB[:, :rank] = rows(dy).T @ rows(h)
    np.add.at(dE[:, :rank], tokens.reshape(-1), rows(dh))  # h = E[tokens, :rank]
    return dE, dB
