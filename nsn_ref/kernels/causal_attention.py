"""Causal attention: products of blocks of queries with the keys up to them by BLAS, the softmax between compiled.

Only the weights, which the backward pass needs, have all n H T S numbers.
"""

import math

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.common import compiled, floats, output, outputs, plain, shapes
from nsn_ref.kernels.exponential import exp_in_place
from nsn_ref.kernels.sums import add
from nsn_ref.ops.causal_attention import CausalAttentionSaved

BLOCK = 128  # queries of one product: of the keys that these see, half a block too many are multiplied


@compiled
def softmax_loop(p, mask, scale, window):
    """Turn inner products into weights: softmax of p scale over the keys that are seen, else 0."""
    zero = p.dtype.type(0)
    n, H, T, S = p.shape
    for i in range(n):
        for h in range(H):
            for t in range(T):
                row, last = p[i, h, t], S - T + t + 1
                first = max(0, last - window)
                row[:first] = zero
                row[last:] = zero
                normalise(row[first:last], mask[i, first:last], scale)


@compiled
def normalise(z, seen, scale):
    """Turn the inner products of one query into weights."""
    zero, none = z.dtype.type(0), True
    top = zero
    for j in range(z.size):
        z[j] *= scale
        if seen[j] and (none or z[j] > top):
            top, none = z[j], False
    for j in range(z.size):
        z[j] = z[j] - top if seen[j] else zero
    exp_in_place(z)
    total = zero
    for j in range(z.size):
        z[j] = z[j] if seen[j] else zero
        total = add(total, z[j])
    if none:
        return
    for j in range(z.size):
        z[j] /= total


@compiled
def softmax_backward_loop(dp, p, scale):
    """Turn the gradients of weights into those of inner products: p (dp - sum of p dp) scale, row by row."""
    for t in range(p.shape[0]):
        along = p.dtype.type(0)
        for j in range(p.shape[1]):
            along = add(along, dp[t, j] * p[t, j])
        for j in range(p.shape[1]):
            dp[t, j] = p[t, j] * (dp[t, j] - along) * scale


def causal_attention_forward(q, k, v, mask=None, scale=None, window=None, *, out=None):
    """As `nsn_ref.ops.causal_attention_forward`; `out` takes y."""
    name = "causal_attention_forward"
    floats(name, q=q, k=k, v=v)
    sizes = checks.axes(name, q=(q, "n T H D"), k=(k, "n S G D"), v=(v, "n S G D"))
    checks.attention(name, sizes, mask, scale, window)
    n, T, H, S, D = (sizes[axis] for axis in "nTHSD")
    scale = 1 / math.sqrt(D) if scale is None else float(scale)
    mask = np.ones((n, S), bool) if mask is None else plain(mask)
    y, p = output(name, out, q.shape, q.dtype), np.empty((n, H, T, S), q.dtype)
    blocks = list(_blocks(q, k, S if window is None else window))
    for i, h, g, queries, keys in blocks:
        np.matmul(q[i, queries, h], k[i, keys, g].T, out=p[i, h, queries, keys])
    softmax_loop(p, mask, q.dtype.type(scale), S if window is None else window)
    for i, h, g, queries, keys in blocks:
        np.matmul(p[i, h, queries, keys], v[i, keys, g], out=y[i, queries, h])
    return y, CausalAttentionSaved(q, k, v, p, scale)


def causal_attention_backward(dy, saved, *, out=None):
    """As `nsn_ref.ops.causal_attention_backward`; `out` takes (dq, dk, dv)."""
    name = "causal_attention_backward"
    q, k, v, p, scale = saved
    floats(name, q=q, k=k, v=v, p=p, dy=dy)
    shapes(name, dy=(dy, q.shape))
    dq, dk, dv = outputs(name, out, q.dtype, q.shape, k.shape, v.shape)
    dk[:], dv[:] = 0, 0
    for i, h, g, queries, keys in _blocks(q, k, k.shape[1]):
        weights, cotangent = p[i, h, queries, keys], dy[i, queries, h]
        dv[i, keys, g] += weights.T @ cotangent  # y = p @ v
        dz = cotangent @ v[i, keys, g].T
        softmax_backward_loop(dz, weights, q.dtype.type(scale))
        np.matmul(dz, k[i, keys, g], out=dq[i, queries, h])  # z = q @ k.T * scale
        dk[i, keys, g] += dz.T @ q[i, queries, h]
    return dq, dk, dv


def _blocks(q, k, window):
    """Sequence, query head, key head, some queries, and the span of the keys that these may see."""
    (n, T, H, _), (_, S, G, _) = q.shape, k.shape
    for i in range(n):
        for h in range(H):
            for start in range(0, T, BLOCK):
                stop = min(start + BLOCK, T)
                keys = slice(max(0, S - T + start + 1 - window), S - T + stop)
                yield i, h, h // (H // G), slice(start, stop), keys
