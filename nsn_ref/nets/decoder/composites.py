"""Layers made of layers: one after another, several on one input, and a residual sum.

A composite runs with a tuple of ranks, one for each nested layer inside it. At K ranks, what lies below the first of
these runs once.
"""

import functools
import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nsn_ref.nets.chain import run_backward, run_backward_ranks, run_forward, run_forward_ranks
from nsn_ref.nets.layers import Layer, sum_grads


class Composite(Layer):
    """Base of them: a subclass has `parts`, the layers inside in order."""

    @functools.cached_property
    def stems(self):
        """Of the operations that it calls."""
        return tuple(stem for part in self.parts for stem in part.stems)

    @functools.cached_property
    def nested_layers(self):
        """The nested layers inside."""
        return tuple(nested for part in self.parts for nested in part.nested_layers)

    @property
    def ranked(self):
        """Whether there are any."""
        return bool(self.nested_layers)

    def take(self, ranks):
        """The next ranks of an iterator, one for each nested layer inside."""
        return tuple(itertools.islice(ranks, len(self.nested_layers)))

    def shapes(self):
        """Shape of every parameter by its name."""
        return {name: shape for part in self.parts for name, shape in part.shapes().items()}

    def init(self, rng, initialisation):
        """Draw the parameters of every part."""
        return {name: value for part in self.parts for name, value in part.init(rng, initialisation).items()}


@dataclass(frozen=True)
class Series(Composite):
    """Layers run in order."""

    parts: tuple

    def forward(self, params, x, rank, ops):
        """The last layer's output."""
        return run_forward(self.parts, params, x, rank, ops)

    def backward(self, dy, saved, ops):
        """Cotangent of the input, and gradients by parameter name."""
        grads, dx = run_backward(dy, saved)
        return dx, grads

    def forward_ranks(self, params, x, ranks, ops):
        """Outputs (K, ...) at K ranks."""
        return run_forward_ranks(self.parts, params, x, ranks, ops)

    def backward_ranks(self, dys, saved, ops):
        """Gradients of K outputs, summed."""
        grads, dx = run_backward_ranks(dys, saved)
        return dx, grads


@dataclass(frozen=True)
class Residual(Composite):
    """y = x + part_1(x) + part_2(x) + ..."""

    parts: tuple

    def forward(self, params, x, rank, ops):
        """Run every part on x, and add."""
        changes, contexts = _on_one_input(self.parts, params, x, rank, ops)
        return sum(changes, start=x), contexts

    def backward(self, dy, saved, ops):
        """Cotangent of the input, and gradients by parameter name."""
        dx, grads = _to_one_input([part.backward for part in self.parts], [dy] * len(self.parts), saved, ops)
        return dy + dx, grads  # y = sum(changes, start=x)

    def forward_ranks(self, params, x, ranks, ops):
        """Outputs (K, ...) at K ranks; a part without nested layers runs once for all."""
        changes, contexts = _on_one_input_at_ranks(self.parts, params, x, ranks, ops)
        return sum(changes, start=x), contexts

    def backward_ranks(self, dys, saved, ops):
        """Gradients of K outputs, summed."""
        total = dys.sum(axis=0)
        ways = [part.backward_ranks if part.ranked else part.backward for part in self.parts]
        dx, grads = _to_one_input(ways, [dys if part.ranked else total for part in self.parts], saved, ops)
        return total + dx, grads


class FanSaved(NamedTuple):
    """What the backward pass needs."""

    parts: tuple  # the saved context of each linear layer
    core: object  # that of the core; at K ranks a tuple of K


@dataclass(frozen=True)
class Fan(Composite):
    """Linear layers that read one input, and a core without parameters that makes one output of theirs."""

    parts: tuple
    core: object  # has `stems`, `forward(ys, ops)` and `backward(dz, saved, ops)`

    @functools.cached_property
    def stems(self):
        """Of the operations that it calls."""
        return (*(stem for part in self.parts for stem in part.stems), *self.core.stems)

    def forward(self, params, x, rank, ops):
        """z = core(y_1, y_2, ...), each y_i a linear function of x."""
        ys, contexts = _on_one_input(self.parts, params, x, rank, ops)
        z, core = self.core.forward(ys, ops)
        return z, FanSaved(contexts, core)

    def backward(self, dz, saved, ops):
        """Cotangent of the input, and gradients by parameter name."""
        dys = self.core.backward(dz, saved.core, ops)
        return _to_one_input([part.backward for part in self.parts], dys, saved.parts, ops)

    def forward_ranks(self, params, x, ranks, ops):
        """Outputs (K, ...): nested layers run at all ranks in one pass, dense ones once, the core at each rank."""
        ys, contexts = _on_one_input_at_ranks(self.parts, params, x, ranks, ops)
        ys = [y if part.ranked else [y] * len(ranks) for part, y in zip(self.parts, ys, strict=True)]
        zs, cores = zip(*(self.core.forward(each, ops) for each in zip(*ys, strict=True)), strict=True)
        return np.stack(zs), FanSaved(contexts, cores)

    def backward_ranks(self, dzs, saved, ops):
        """Gradients of K outputs, summed."""
        each = [self.core.backward(dz, core, ops) for dz, core in zip(dzs, saved.core, strict=True)]
        dys = [
            np.stack(dy) if part.ranked else _total(dy)
            for part, dy in zip(self.parts, zip(*each, strict=True), strict=True)
        ]
        ways = [part.backward_ranks if part.ranked else part.backward for part in self.parts]
        return _to_one_input(ways, dys, saved.parts, ops)


def _on_one_input(parts, params, x, rank, ops):
    """Outputs and saved contexts of layers that all read x."""
    ranks = iter(rank)
    return zip(*(part.forward(params, x, part.take(ranks), ops) for part in parts), strict=True)


def _on_one_input_at_ranks(parts, params, x, ranks, ops):
    """The same at K ranks: outputs (K, ...) of the layers that have a rank, one output of the others."""
    ranks = [iter(rank) for rank in ranks]
    each = []
    for part in parts:
        own = [part.take(rank) for rank in ranks]
        each.append(part.forward_ranks(params, x, own, ops) if part.ranked else part.forward(params, x, own[0], ops))
    return zip(*each, strict=True)


def _to_one_input(ways, dys, contexts, ops):
    """Backward through layers that read one input: their cotangents of it add up."""
    dxs, grads = zip(*(way(dy, saved, ops) for way, dy, saved in zip(ways, dys, contexts, strict=True)), strict=True)
    return _total(dxs), sum_grads(grads)


def _total(arrays):
    """Their sum, without the zero that `sum` starts from, which would be added to a whole array."""
    first, *rest = arrays
    return sum(rest, start=first)
