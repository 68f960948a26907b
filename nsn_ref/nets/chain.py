"""A network that is a chain of layers: forward and backward at one rank, or at K ranks over one shared input."""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref import ops as reference
from nsn_ref.errors import DTypeError, OptionError, RankError, ShapeError
from nsn_ref.nets.layers import Activation, sum_grads


class ChainSaved(NamedTuple):
    """What the backward pass at one rank needs."""

    layers: tuple  # the layers that were run
    contexts: tuple  # the saved context of each
    outputs: tuple  # the output of each
    ops: object  # the operations that were run


class RanksSaved(NamedTuple):
    """What the backward pass at K ranks needs."""

    trunk: ChainSaved  # the layers before the first one with a rank
    layer: object  # the first layer with a rank
    context: object  # its saved context
    tails: tuple  # K ChainSaved: the layers after it, at each rank


class Chain:
    """Base of the networks. A subclass is a frozen dataclass with `layers`, `input_axes`, `logits_shape` and `R`.

    Parameters are a flat dict of str to ndarray. Beside those of the layers it holds ``s``, shape (R,): the
    log-variances of the objective, by rank.

    A rank is an int, which every nested layer runs at (or at its own R, if that is smaller), or a tuple with one rank
    for each nested layer. A tuple shares the log-variance of its largest rank.
    """

    @functools.cached_property
    def nested_layers(self):
        """The layers that have a rank, in order."""
        return tuple(nested for layer in self.layers for nested in layer.nested_layers)

    @property
    def shared(self):
        """How many layers lie below the first one with a rank: at several ranks they run once."""
        return count_shared(self.layers)

    def with_dense(self, keys):
        """The same network with the nested layers of these keys dense."""
        nested = tuple(layer.ranked and layer.key not in keys for layer in self.layers if layer.shapes())
        return dataclasses.replace(self, nested=nested)

    def shapes(self):
        """Shape of every parameter by its name, in the order of the layers; ``s`` last."""
        shapes = {}
        for layer in self.layers:
            shapes |= layer.shapes()
        return shapes | {"s": (self.R,)}

    def init(self, rng, dtype=np.float32, initialisation="random"):
        """Draw parameters that keep the scale of activations at full rank; biases and log-variances are 0.

        Parameters
        ----------
        rng : numpy.random.Generator
            Drawn from in float64 and in the order of the layers: the dtype changes only the rounding.
        dtype : {float32, float64}
        initialisation : {"random", "svd"}
            "random": A ~ N(0, 1 / d_in), B ~ N(0, gain / R), with gain 2 before an activation and 1 at the head.
            "svd": B = U sqrt(S), A = sqrt(S) V^T of a matrix ~ N(0, gain / d_in) (arXiv:2509.17874v1, app. B.2).

        Returns
        -------
        dict of str to ndarray

        Raises
        ------
        OptionError
        """
        name = f"{type(self).__name__}.init"
        checks.choice(name, "initialisation", initialisation, ("random", "svd"))
        if dtype not in (np.float32, np.float64, "float32", "float64"):
            raise OptionError(f"{name}: dtype is {dtype!r}, expected float32 or float64")
        params = {}
        for layer in self.layers:
            params |= layer.init(rng, initialisation)
        if "s" in self.shapes():
            params["s"] = np.zeros(self.R)
        return {key: value.astype(dtype, order="C") for key, value in params.items()}

    def layer_ranks(self, rank, function="layer_ranks"):
        """The rank of each nested layer: an int is the same for all, as far as a layer has that many components.

        Raises
        ------
        RankError
        """
        if not isinstance(rank, tuple):
            checks.rank(function, rank, self.R)
            return tuple(min(int(rank), layer.R) for layer in self.nested_layers)
        if len(rank) != len(self.nested_layers):
            raise RankError(
                f"{function}: rank is {rank!r}, expected an int or a tuple with one rank for each of the "
                f"{len(self.nested_layers)} nested layers"
            )
        for i, (r, layer) in enumerate(zip(rank, self.nested_layers, strict=True)):
            checks.rank(function, r, layer.R, name=f"rank[{i}]")
        return tuple(map(int, rank))

    def ranks_of_layers(self, ranks, function):
        """`layer_ranks` of each of K ranks.

        Raises
        ------
        RankError
        """
        if not isinstance(ranks, (tuple, list)) or not ranks:
            raise RankError(f"{function}: ranks is {ranks!r}, expected a non-empty list of ranks")
        return [self.layer_ranks(rank, function) for rank in ranks]

    def check(self, function, params, x=None):
        """Check the parameters' names, shapes and number type, and those of an input; everything must be finite.

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError
        """
        if not isinstance(params, dict):
            raise DTypeError(f"{function}: params is a {type(params).__name__}, expected a dict of arrays by name")
        shapes = self.shapes()
        if missing := shapes.keys() - params.keys():
            name = sorted(missing)[0]
            raise ShapeError(f"{function}: params has no {name!r}, expected an array of shape {shapes[name]}")
        if unknown := params.keys() - shapes.keys():
            raise ShapeError(f"{function}: params has {sorted(unknown)[0]!r}, expected only parameters of the network")
        named = {key: (params[key], " ".join(map(str, shape))) for key, shape in shapes.items()}
        checks.arrays(function, **({} if x is None else {"x": (x, self.input_axes)}), **named)

    def check_input(self, function, x):
        """Check inputs to train on or to evaluate, whose number type need not be that of parameters.

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError
        """
        checks.float_arrays(function, x=(x, self.input_axes))

    def check_targets(self, function, targets, loss, shape):
        """Check what a loss compares logits of the given shape with.

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError, LabelError
        """
        if loss == "cross_entropy" and targets.dtype.kind in "iu":
            checks.labels(function, "targets", targets, shape[:-1], shape[-1])
            return
        if loss == "cross_entropy" and targets.shape != shape:
            got = f"dtype {targets.dtype} and shape {targets.shape}"
            raise ShapeError(f"{function}: targets has {got}, expected integers {shape[:-1]} or probabilities {shape}")
        checks.float_arrays(function, targets=(targets, " ".join(map(str, shape))))

    def loss_arguments(self, function, targets, loss):
        """What a loss takes beside logits: the targets in their shape, and its options."""
        return targets, {}

    def forward(self, params, x, rank, ops=reference):
        """Logits at one rank.

        Parameters
        ----------
        params : dict of str to ndarray
        x : ndarray
            In the shape of `input_axes`, in the number system of the parameters.
        rank : int or tuple of int
        ops : module
            `nsn_ref.ops`, or `nsn_ref.kernels` for float32 and float64.

        Returns
        -------
        logits : ndarray, shape (n, C)
        saved : ChainSaved

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError, RankError
        """
        function = f"{type(self).__name__}.forward"
        self.check(function, params, x)
        return run_forward(self.layers, params, x, self.layer_ranks(rank, function), ops)

    def backward(self, dlogits, saved):
        """Gradients at the rank of the forward pass; components above it get exactly zero.

        Parameters
        ----------
        dlogits : ndarray, the shape of the logits
        saved : ChainSaved

        Returns
        -------
        grads : dict of str to ndarray
            By parameter name; the logits do not depend on ``s``, which is not among them.
        dx : ndarray, the shape of x
            None where x are tokens.
        """
        return run_backward(dlogits, saved)

    def forward_ranks(self, params, x, ranks, ops=reference):
        """Logits at K ranks. Up to the first nested layer the ranks share one pass.

        Parameters
        ----------
        params, x, ops
            As in `forward`.
        ranks : sequence of K ranks
            Each an int or a tuple, in any order, duplicates allowed.

        Returns
        -------
        logits : ndarray, shape (K, n, C)
        saved : RanksSaved

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError, RankError
        """
        function = f"{type(self).__name__}.forward_ranks"
        self.check(function, params, x)
        return run_forward_ranks(self.layers, params, x, self.ranks_of_layers(ranks, function), ops)

    def backward_ranks(self, dlogits, saved, dhidden=None):
        """Gradients of K logits, summed.

        Parameters
        ----------
        dlogits : ndarray, shape (K, n, C)
        saved : RanksSaved
        dhidden : sequence of K lists, optional
            Cotangents of the outputs that `hidden` lists, for what else depends on them.

        Returns
        -------
        grads : dict of str to ndarray
        dx : ndarray, the shape of x
            None where x are tokens.
        """
        return run_backward_ranks(dlogits, saved, dhidden)


def hidden(saved):
    """The outputs of the activations of a `ChainSaved`, in order."""
    return [y for layer, y in zip(saved.layers, saved.outputs, strict=True) if isinstance(layer, Activation)]


def run_forward(layers, params, x, ranks, ops):
    """Run layers in order; `ranks` holds one rank for each nested layer."""
    ranks = iter(ranks)
    contexts, outputs = [], []
    for layer in layers:
        x, context = layer.forward(params, x, layer.take(ranks), ops)
        contexts.append(context)
        outputs.append(x)
    return x, ChainSaved(tuple(layers), tuple(contexts), tuple(outputs), ops)


def run_backward(dy, saved, dhidden=()):
    """Gradients by name, and the cotangent of the input; `dhidden` is added at the outputs that `hidden` lists.

    Claims: GRD-6.
    """
    dhidden, grads = list(dhidden), {}
    for layer, context in zip(reversed(saved.layers), reversed(saved.contexts), strict=True):
        if dhidden and isinstance(layer, Activation):
            dy = dy + dhidden.pop()
        dy, own = layer.backward(dy, context, saved.ops)
        grads = sum_grads([grads, own])  # a parameter may serve in two layers
    return grads, dy


def count_shared(layers):
    """How many layers lie below the first one with a rank; of layers without any rank, all but the last."""
    return next((i for i, layer in enumerate(layers) if layer.ranked), len(layers) - 1)


def run_forward_ranks(layers, params, x, ranks, ops):
    """Run layers at K ranks, each a tuple with one rank for each nested layer: those below the first of them once."""
    shared = count_shared(layers)
    below, layer, above = layers[:shared], layers[shared], layers[shared + 1 :]
    h, trunk = run_forward(below, params, x, (), ops)
    ranks = [iter(rank) for rank in ranks]
    hs, context = layer.forward_ranks(params, h, [layer.take(rank) for rank in ranks], ops)
    ys, tails = zip(*(run_forward(above, params, h, rank, ops) for h, rank in zip(hs, ranks, strict=True)), strict=True)
    return np.stack(ys), RanksSaved(trunk, layer, context, tails)


def run_backward_ranks(dys, saved, dhidden=None):
    """Gradients by name of K outputs, summed, and the cotangent of the input; `dhidden`: K times `run_backward`'s."""
    trunk, layer, context, tails = saved
    dhidden = [()] * len(tails) if dhidden is None else dhidden
    grads, dhs = zip(
        *(run_backward(dy, tail, dh) for dy, tail, dh in zip(dys, tails, dhidden, strict=True)), strict=True
    )
    dh, own = layer.backward_ranks(np.stack(dhs), context, trunk.ops)
    below, dx = run_backward(dh, trunk)
    return sum_grads([below, own, *grads]), dx


def check_nested(function, nested, count):
    """Check one boolean for each layer.

    Raises
    ------
    OptionError
    """
    good = isinstance(nested, tuple) and len(nested) == count and all(isinstance(flag, bool) for flag in nested)
    if not good:
        raise OptionError(f"{function}: nested is {nested!r}, expected a tuple of {count} booleans, one for each layer")
