"""The layers that networks are chained from: each knows its parameters' names and which operation it calls.

A layer has no state. Its parameters lie in the network's flat dict under ``key``; `forward` returns the output and
what the backward pass needs, `backward` the cotangent of the input and a dict of gradients.
"""

from dataclasses import dataclass

import numpy as np

from nsn_ref.scalars import zeros


class Layer:
    """A layer without parameters or ranks; the others add theirs."""

    stems = ()  # of the operations that it calls
    ranked = False  # whether it has components to choose from: then it also has `R`, their number

    @property
    def nested_layers(self):
        """The layers with a rank: this one, or none."""
        return (self,) if self.ranked else ()

    def take(self, ranks):
        """What it runs at: the next of an iterator over the ranks of nested layers, or None."""
        return next(ranks) if self.ranked else None

    def shapes(self):
        """Shape of every parameter by its name."""
        return {}

    def init(self, rng, initialisation):
        """Draw the parameters, float64."""
        return {}

    def forward(self, params, x, rank, ops):
        """Output at one rank (None where the layer has no rank), and the saved context."""
        raise NotImplementedError

    def backward(self, dy, saved, ops):
        """Cotangent of the input, and gradients by parameter name."""
        raise NotImplementedError

    def forward_ranks(self, params, x, ranks, ops):
        """Outputs (K, ...) at K ranks of one shared input; here one pass for each."""
        ys, saved = zip(*(self.forward(params, x, rank, ops) for rank in ranks), strict=True)
        return np.stack(ys), saved

    def backward_ranks(self, dys, saved, ops):
        """Gradients of K outputs, summed."""
        dxs, grads = zip(
            *(self.backward(dy, context, ops) for dy, context in zip(dys, saved, strict=True)), strict=True
        )
        return sum(dxs), sum_grads(grads)


@dataclass(frozen=True)
class Dense(Layer):
    """A full weight matrix and a bias."""

    stems = ("dense",)
    key: str
    d_in: int
    d_out: int
    gain: float  # the square of the scale that the activation after it takes away: 2 for relu, 1 for none
    bias: bool = True  # without, b is zero and no parameter

    def shapes(self):
        """Shape of every parameter by its name."""
        return _named(self, "W", ((self.d_out, self.d_in), (self.d_out,)))

    def init(self, rng, initialisation):
        """W ~ N(0, gain / d_in), b = 0."""
        return _named(self, "W", (random_matrix(rng, self.d_out, self.d_in, self.gain), np.zeros(self.d_out)))

    def forward(self, params, x, rank, ops):
        """y = x W^T + b."""
        return ops.dense_forward(x, *_arguments(self, "W", params))

    def backward(self, dy, saved, ops):
        """Cotangent of the input, and gradients by parameter name."""
        dx, *grads = ops.dense_backward(dy, saved)
        return dx, _named(self, "W", grads)


@dataclass(frozen=True)
class NestedLinear(Layer):
    """A nested linear layer; at K ranks it runs in one pass."""

    stems = ("nested_linear", "multirank_linear")
    ranked = True
    key: str
    d_in: int
    d_out: int
    R: int
    gain: float
    bias: bool = True  # without, b is zero and no parameter

    def shapes(self):
        """Shape of every parameter by its name."""
        shapes = (self.R, self.d_in), (self.d_out, self.R), (self.d_out,)
        return _named(self, "AB", shapes)

    def init(self, rng, initialisation):
        """A and B by `random_factors` or `svd_factors`, b = 0."""
        A, B = FACTORS[initialisation](rng, self.d_out, self.d_in, self.R, self.gain)
        return _named(self, "AB", (A, B, np.zeros(self.d_out)))

    def forward(self, params, x, rank, ops):
        """y = B_r (A_r x) + b."""
        return ops.nested_linear_forward(x, *_arguments(self, "AB", params), rank)

    def backward(self, dy, saved, ops):
        """Cotangent of the input, and gradients by parameter name."""
        dx, *grads = ops.nested_linear_backward(dy, saved)
        return dx, _named(self, "AB", grads)

    def forward_ranks(self, params, x, ranks, ops):
        """Outputs (K, ...) at K ranks, in one pass."""
        return ops.multirank_linear_forward(x, *_arguments(self, "AB", params), ranks)

    def backward_ranks(self, dys, saved, ops):
        """Gradients of K outputs, summed, in one pass."""
        dx, *grads = ops.multirank_linear_backward(dys, saved)
        return dx, _named(self, "AB", grads)

    @property
    def first_factor(self):
        """Name of A."""
        return f"{self.key}.A"


def _named(layer, factors, values):
    """Values of the factors and of the bias by parameter name; that of a bias which is no parameter is left out."""
    *matrices, b = values
    named = {f"{layer.key}.{factor}": value for factor, value in zip(factors, matrices, strict=True)}
    return named | ({f"{layer.key}.b": b} if layer.bias else {})


def _arguments(layer, factors, params):
    """The factors and the bias of a linear layer, in order."""
    matrices = [params[f"{layer.key}.{factor}"] for factor in factors]
    return *matrices, params[f"{layer.key}.b"] if layer.bias else zeros(layer.d_out, matrices[0])


# name of the activation: the stem of its operation, and the options that it is called with
ACTIVATIONS = {
    "relu": ("relu", {}),
    "gelu": ("gelu", {}),
    "gelu_tanh": ("gelu", {"approximate": "tanh"}),
    "silu": ("silu", {}),
}


@dataclass(frozen=True)
class Activation(Layer):
    """An elementwise function."""

    name: str

    @property
    def stems(self):
        """Of the operations that it calls."""
        return (ACTIVATIONS[self.name][0],)

    def forward(self, params, x, rank, ops):
        """y = f(x)."""
        stem, options = ACTIVATIONS[self.name]
        return getattr(ops, f"{stem}_forward")(x, **options)

    def backward(self, dy, saved, ops):
        """Cotangent of the input; there are no parameters."""
        stem, _ = ACTIVATIONS[self.name]
        return getattr(ops, f"{stem}_backward")(dy, saved), {}


def sum_grads(dicts):
    """The sum of gradient dicts; a name that is missing from one counts as zero there."""
    total = {}
    for grads in dicts:
        for name, g in grads.items():
            total[name] = total[name] + g if name in total else g
    return total


# --- initialisation: at rank R, outputs have `gain` times the mean square of the inputs ------------------------------


def random_matrix(rng, d_out, d_in, gain):
    """W (d_out, d_in) ~ N(0, gain / d_in)."""
    return rng.standard_normal((d_out, d_in)) * np.sqrt(gain / d_in)


def random_factors(rng, d_out, d_in, R, gain):
    """A ~ N(0, 1 / d_in) and B ~ N(0, gain / R): A x keeps the scale of x, B A x has `gain` times its mean square."""
    A = random_matrix(rng, R, d_in, 1)
    return A, random_matrix(rng, d_out, R, gain)


def svd_factors(rng, d_out, d_in, R, gain):
    """B = U sqrt(S), A = sqrt(S) V^T of a random matrix, so that every rank is the best one at the start.

    The singular values kept are scaled so that their squares still sum to those of the whole matrix. Components above
    min(d_in, d_out) start with random a_i and b_i = 0: they change no output yet, and b_i has a gradient.
    """
    U, S, Vt = np.linalg.svd(random_matrix(rng, d_out, d_in, gain), full_matrices=False)
    k = min(R, len(S))
    root = np.sqrt(S[:k] * np.sqrt((S**2).sum() / (S[:k] ** 2).sum()))
    A, B = random_matrix(rng, R, d_in, 1), np.zeros((d_out, R))
    A[:k], B[:, :k] = root[:, None] * Vt[:k], U[:, :k] * root
    return A, B


FACTORS = {"random": random_factors, "svd": svd_factors}
