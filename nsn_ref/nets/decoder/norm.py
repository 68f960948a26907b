"""The norms of a decoder."""

from dataclasses import dataclass

import numpy as np

from nsn_ref.nets.layers import Layer
from nsn_ref.scalars import number


@dataclass(frozen=True)
class Norm(Layer):
    """Layer norm or root-mean-square norm, with weight w + offset."""

    key: str
    kind: str  # "layer_norm" or "rms_norm"
    width: int
    offset: float
    eps: float

    @property
    def stems(self):
        """Of the operations that it calls."""
        return (self.kind,)

    def shapes(self):
        """Shape of every parameter by its name."""
        return dict.fromkeys(self._names(), (self.width,))

    def init(self, rng, initialisation):
        """Scale by 1, shift by 0."""
        values = np.full(self.width, 1 - self.offset), np.zeros(self.width)
        return dict(zip(self._names(), values, strict=False))

    def forward(self, params, x, rank, ops):
        """Normalise, scale by w + offset, shift."""
        w, *b = (params[name] for name in self._names())
        w = w + number(self.offset, like=w)
        return getattr(ops, f"{self.kind}_forward")(x, w, *b, eps=self.eps)

    def backward(self, dy, saved, ops):
        """Cotangent of the input, and gradients by parameter name."""
        dx, *grads = getattr(ops, f"{self.kind}_backward")(dy, saved)
        return dx, dict(zip(self._names(), grads, strict=True))

    def _names(self):
        return (f"{self.key}.w", f"{self.key}.b")[: 2 if self.kind == "layer_norm" else 1]
