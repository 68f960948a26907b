"""Causal attention: every query takes the mean of the values of itself and the keys before it, weighted by a softmax.

With fewer key heads than query heads (grouped-query attention; one key head: multi-query) the H / G query heads of a
group share the keys and values of one head.
"""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import masked_softmax, number, rsqrt


class CausalAttentionSaved(NamedTuple):
    """What the backward pass needs."""

    q: np.ndarray  # (n, T, H, D)
    k: np.ndarray  # (n, S, G, D)
    v: np.ndarray  # (n, S, G, D)
    p: np.ndarray  # (n, H, T, S): what of each value goes into each query's output
    scale: float  # or a number of the number system of q


def causal_attention_forward(q, k, v, mask=None, scale=None, window=None):
    """Output of every query head.

    The queries are the last T of S positions, so that one more token can be run on the keys and values of those
    before it. A query that may see no key gives 0, and takes no gradient.

    Parameters
    ----------
    q : ndarray, shape (n, T, H, D)
    k, v : ndarray, shape (n, S, G, D), with S >= T and G a divisor of H
        Query head h uses head h // (H / G) of these.
    mask : ndarray of bool, shape (n, S), optional
        True where a key may be seen: False for padding.
    scale : float, optional
        Of the inner products; by default 1 / sqrt(D).
    window : int, >= 1, optional
        How many of the latest keys a query sees, its own among them; by default all.

    Returns
    -------
    y : ndarray, shape (n, T, H, D)
    saved : CausalAttentionSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError, NumberSystemError

    Notes
    -----
    Source: Vaswani et al., arXiv:1706.03762, Eq. 1 and sec. 3.2.3 (causal); groups: Ainslie et al., arXiv:2305.13245,
    sec. 2.2; window: Beltagy et al., arXiv:2004.05150, sec. 3.1, on one side.
    """
    name = "causal_attention_forward"
    sizes = checks.arrays(name, q=(q, "n T H D"), k=(k, "n S G D"), v=(v, "n S G D"))
    checks.attention(name, sizes, mask, scale, window)
    seen = _seen(sizes, mask, window)
    scale = rsqrt(number(sizes["D"], like=q)) if scale is None else number(scale, like=q)
    (n, T, H, _), (_, S, G, _) = q.shape, k.shape
    z = _by_group(q, G) @ _by_group(k, G).swapaxes(2, 3) * scale
    p = masked_softmax(z.reshape(n, H, T, S), seen)
    y = _join(p, G) @ _by_group(v, G)
    return _by_position(y, q.shape), CausalAttentionSaved(q, k, v, p, scale)


def causal_attention_backward(dy, saved):
    """Gradients; keys and values of a group sum those of its query heads.

    Parameters
    ----------
    dy : ndarray, shape (n, T, H, D)
    saved : CausalAttentionSaved

    Returns
    -------
    dq, dk, dv : ndarray
        In the shapes of q, k, v.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: the chain rule; the Jacobian of a softmax p is diag(p) - p p^T.
    """
    q, k, v, p, scale = saved
    checks.cotangent("causal_attention_backward", dy, q.shape, like=q)
    G = k.shape[2]
    dy = _by_group(dy, G)
    dv = _join(p, G).swapaxes(2, 3) @ dy  # y = p @ v
    dp = (dy @ _by_group(v, G).swapaxes(2, 3)).reshape(p.shape)
    dz = p * (dp - (dp * p).sum(axis=-1, keepdims=True))  # p = softmax of the z that are seen, else 0
    dz = _join(dz * scale, G)  # z = q @ k.T * scale
    dq, dk = dz @ _by_group(k, G), dz.swapaxes(2, 3) @ _by_group(q, G)
    return _by_position(dq, q.shape), _by_position(dk, k.shape), _by_position(dv, v.shape)


def _seen(sizes, mask, window):
    """Where a query may see a key: booleans, (n, 1, T, S)."""
    n, T, S = (sizes[axis] for axis in "nTS")
    position, key = np.arange(S - T, S)[:, None], np.arange(S)
    seen = key <= position
    if window is not None:
        seen &= key > position - window
    seen = np.broadcast_to(seen, (n, 1, T, S))
    return seen if mask is None else seen & mask[:, None, None, :]


def _by_group(x, G):
    """(n, T, H, D) to (n, G, H / G T, D): the rows of the heads that share a key head lie together."""
    n, T, H, D = x.shape
    return x.reshape(n, T, G, H // G, D).transpose(0, 2, 3, 1, 4).reshape(n, G, H // G * T, D)


def _by_position(x, shape):
    """(n, G, H / G T, D) to the shape (n, T, H, D): undoes `_by_group`."""
    n, T, H, D = shape
    return x.reshape(n, H, T, D).swapaxes(1, 2)


def _join(p, G):
    """(n, H, T, S) to (n, G, H / G T, S)."""
    n, H, T, S = p.shape
    return p.reshape(n, G, H // G * T, S)
