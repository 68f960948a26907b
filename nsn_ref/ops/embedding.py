"""Embedding: y = E[tokens], a row of the table for each token."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import rows, zeros_like


class EmbeddingSaved(NamedTuple):
    """What the backward pass needs."""

    tokens: np.ndarray  # (...), integers
    E: np.ndarray  # (V, d)


def embedding_forward(tokens, E):
    """Look tokens up. The factorised table is `nested_embedding_forward`.

    Parameters
    ----------
    tokens : ndarray of integers in 0..V-1, shape (n,) or (n, T)
    E : ndarray, shape (V, d)
        Row v is the vector of token v.

    Returns
    -------
    y : ndarray, shape (n, d) or (n, T, d)
    saved : EmbeddingSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, LabelError

    Notes
    -----
    Source: the dense layer on one-hot x, without its products by 0 and 1 and without a bias.
    """
    V = checks.arrays("embedding_forward", E=(E, "V d"))["V"]
    checks.labels("embedding_forward", "tokens", tokens, None, V)
    return E[tokens], EmbeddingSaved(tokens, E)


def embedding_backward(dy, saved):
    """Gradient of the table: a token that occurs several times gets the sum, one that does not occur exactly zero.

    Parameters
    ----------
    dy : ndarray, shape (n, d) or (n, T, d)
    saved : EmbeddingSaved

    Returns
    -------
    dE : ndarray, the shape of E

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
    """
    tokens, E = saved
    checks.cotangent("embedding_backward", dy, tokens.shape + E.shape[1:], like=E)
    dE = zeros_like(E)
    np.add.at(dE, tokens.reshape(-1), rows(dy))  # y = E[tokens]
    return dE
