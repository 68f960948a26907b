"""The core of attention: from the queries, keys and values of all heads to what the heads give."""

from dataclasses import dataclass
from typing import NamedTuple

from nsn_ref.nets.decoder.sequences import Sequences


class AttentionSaved(NamedTuple):
    """What the backward pass needs."""

    rotations: tuple  # saved by `rotary_forward` of queries and of keys; empty where nothing is rotated
    attention: object  # saved by `causal_attention_forward`


@dataclass(frozen=True)
class Attention:
    """Queries (n, T, heads head_dim), keys and values (n, T, kv_heads head_dim) to (n, T, heads head_dim)."""

    block: int  # whose keys and values these are in a cache
    head_dim: int
    rotated: bool
    scale: float | None
    window: int | None
    sequences: Sequences | None = None

    @property
    def stems(self):
        """Of the operations that it calls."""
        return ("rotary", "causal_attention") if self.rotated else ("causal_attention",)

    def forward(self, ys, ops):
        """Rotate queries and keys, put keys and values behind those of the cache, attend."""
        q, k, v = (y.reshape(*y.shape[:-1], -1, self.head_dim) for y in ys)
        at, rotations = self.sequences, ()
        if self.rotated:
            (q, saved_q), (k, saved_k) = (ops.rotary_forward(x, at.cos, at.sin) for x in (q, k))
            rotations = saved_q, saved_k
        if at.cache is not None:
            k, v = at.cache.extended(self.block, k, v)
        o, saved = ops.causal_attention_forward(q, k, v, mask=at.mask, scale=self.scale, window=self.window)
        return o.reshape(*o.shape[:-2], -1), AttentionSaved(rotations, saved)

    def backward(self, do, saved, ops):
        """Cotangents of queries, keys and values, of a forward pass without a cache."""
        do = do.reshape(*do.shape[:-1], -1, self.head_dim)
        dq, dk, dv = ops.causal_attention_backward(do, saved.attention)  # o = causal_attention(q, k, v)
        if saved.rotations:  # q, k = rotary(q), rotary(k)
            dq, dk = (ops.rotary_backward(dx, rotation) for dx, rotation in zip((dq, dk), saved.rotations, strict=True))
        return [dy.reshape(*dy.shape[:-2], -1) for dy in (dq, dk, dv)]
