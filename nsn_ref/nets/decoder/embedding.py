"""The ends of a decoder: tokens to vectors, and vectors to logits by the same table."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nsn_ref.nets.decoder.sequences import Sequences
from nsn_ref.nets.layers import Layer, random_matrix
from nsn_ref.scalars import number, zeros

TABLE = "embedding.E"
POSITIONS = "positions.E"


class EmbeddingSaved(NamedTuple):
    """What the backward pass needs."""

    tokens: object  # saved by `embedding_forward`
    positions: object  # the same of the positions; None without their table
    scale: object  # a number


@dataclass(frozen=True)
class Embedding(Layer):
    """A row of a table for each token, scaled, and where there are learned positions one for each position."""

    stems = ("embedding",)
    vocabulary: int
    hidden: int
    scale: float
    positions: int  # rows of the table of positions; 0: none
    sequences: Sequences | None = None

    def shapes(self):
        """Shape of every parameter by its name."""
        shapes = {TABLE: (self.vocabulary, self.hidden)}
        return shapes | ({POSITIONS: (self.positions, self.hidden)} if self.positions else {})

    def init(self, rng, initialisation):
        """E ~ N(0, 1 / hidden): a tied head then gives logits on the scale of what it reads."""
        return {name: random_matrix(rng, *shape, 1) for name, shape in self.shapes().items()}

    def forward(self, params, tokens, rank, ops):
        """x = scale E[tokens] + E'[positions]."""
        x, saved = ops.embedding_forward(tokens, params[TABLE])
        scale = number(self.scale, like=x)
        if not self.positions:
            return scale * x, EmbeddingSaved(saved, None, scale)
        places = np.broadcast_to(self.sequences.positions, tokens.shape)
        p, saved_positions = ops.embedding_forward(places, params[POSITIONS])
        return scale * x + p, EmbeddingSaved(saved, saved_positions, scale)

    def backward(self, dx, saved, ops):
        """Gradients by parameter name; tokens have no cotangent."""
        grads = {TABLE: ops.embedding_backward(saved.scale * dx, saved.tokens)}  # x = scale * E[tokens] + p
        if self.positions:
            grads[POSITIONS] = ops.embedding_backward(dx, saved.positions)  # p = E'[positions]
        return None, grads


@dataclass(frozen=True)
class TiedHead(Layer):
    """Logits by the table of the embedding."""

    stems = ("dense",)
    key: str
    vocabulary: int
    bias: bool

    def shapes(self):
        """Shape of the bias; the table is the embedding's."""
        return {f"{self.key}.b": (self.vocabulary,)} if self.bias else {}

    def init(self, rng, initialisation):
        """b = 0."""
        return {name: np.zeros(shape) for name, shape in self.shapes().items()}

    def forward(self, params, x, rank, ops):
        """z = x E^T + b."""
        E = params[TABLE]
        return ops.dense_forward(x, E, params[f"{self.key}.b"] if self.bias else zeros(self.vocabulary, E))

    def backward(self, dz, saved, ops):
        """Cotangent of the input, and gradients by parameter name."""
        dx, dE, db = ops.dense_backward(dz, saved)
        return dx, {TABLE: dE} | ({f"{self.key}.b": db} if self.bias else {})
