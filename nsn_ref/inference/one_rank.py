"""A network at one rank, prepared once: dense weights where they are cheaper, and no work in a call but the layers'."""

import functools
import math
from typing import NamedTuple

import numpy as np

from nsn_ref import checks, kernels
from nsn_ref.errors import DTypeError, OptionError
from nsn_ref.kernels.bias import add_bias_loop, add_bias_relu_loop
from nsn_ref.nets.decoder import Decoder
from nsn_ref.nets.layers import Activation, Dense, NestedLinear
from nsn_ref.scalars import rows

RELU = Activation("relu")


class MultipliedOut(NamedTuple):
    """A network at one rank, some of its nested layers dense: ``net.forward(params, x, rank)`` runs it."""

    net: object  # Chain
    params: dict  # str to ndarray
    rank: tuple  # of each layer that is still nested


def multiplied_out(net, params, rank):
    """Replace nested layers by dense ones with W_r = B_r A_r, where r (d_in + d_out) >= d_in d_out.

    From that rank on W_r costs no more arithmetic and no more memory than its factors. The outputs are the same but for
    rounding.

    Parameters
    ----------
    net : MLP, ConvNet or Decoder
    params : dict of str to ndarray
        In any number system.
    rank : int or tuple of int; of a Decoder also a dict by layer

    Returns
    -------
    MultipliedOut

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError

    Notes
    -----
    Source: arXiv:2509.17874v1, sec. 2.1, for the break-even rank.
    """
    net.check("multiplied_out", params)
    ranks = dict(zip(net.nested_layers, net.layer_ranks(rank, "multiplied_out"), strict=True))
    cheaper = [layer for layer, r in ranks.items() if _is_break_even(params, layer, r)]
    plainer = net.with_dense({layer.key for layer in cheaper})
    products = {f"{layer.key}.W": _product(params, layer, ranks[layer]) for layer in cheaper}
    new = {name: products[name] if name in products else params[name] for name in plainer.shapes()}
    if "s" in new:
        new["s"] = new["s"][: plainer.R]
    return MultipliedOut(plainer, new, tuple(r for layer, r in ranks.items() if layer not in cheaper))


def _is_break_even(params, layer, rank):
    A, B = params[f"{layer.key}.A"], params[f"{layer.key}.B"]
    d_in, d_out = math.prod(A.shape[1:]), len(B)
    return rank * (d_in + d_out) >= d_in * d_out


def _product(params, layer, rank):
    """W_r, in the shape of a dense layer's or a convolution's weights."""
    A, B = params[f"{layer.key}.A"][:rank], params[f"{layer.key}.B"][:, :rank]
    return (B @ A.reshape(rank, math.prod(A.shape[1:]))).reshape(len(B), *A.shape[1:])


class Predictor:
    """A network at one rank as a function of its input, for calls that must be quick.

    It holds its own copy of the weights, in the order in which they are read. A call checks the type and the shape of
    its input; NaN goes through. Calls may be made from several threads.

    Parameters
    ----------
    net : MLP or ConvNet
    params : dict of str to ndarray
        All float32 or all float64.
    rank : int or tuple of int
    multiply_out : bool
        Use dense weights from the break-even rank on, as `multiplied_out` does.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, OptionError
    """

    def __init__(self, net, params, rank, *, multiply_out=True):
        if isinstance(net, Decoder):
            raise OptionError("Predictor: net is a Decoder, expected an MLP or a ConvNet; for a Decoder see `generate`")
        net.check("Predictor", params)
        kernels.common.floats("Predictor", **params)
        rank = net.layer_ranks(rank, "Predictor")
        if multiply_out:
            net, params, rank = multiplied_out(net, params, rank)
        self.dtype, self._axes = params["s"].dtype, net.input_axes
        self._steps = tuple(_steps(net, params, rank))

    def __call__(self, x):
        """Logits.

        Parameters
        ----------
        x : ndarray
            In the shape of the network's input.

        Returns
        -------
        ndarray, shape (n, C), or (n, T, C) for x of shape (n, T, d_in)

        Raises
        ------
        ShapeError, DTypeError
        """
        kernels.common.floats("Predictor", x=x)
        if x.dtype != self.dtype:
            raise DTypeError(f"Predictor: x has dtype {x.dtype}, expected {self.dtype} as the parameters have")
        checks.axes("Predictor", x=(x, self._axes))
        for step in self._steps:
            x = step(x)
        return x


def _steps(net, params, ranks):
    """Functions of one activation, one after the other."""
    ranks, before = iter(ranks), None
    for layer, after in zip(net.layers, (*net.layers[1:], None), strict=True):
        rank = next(ranks) if layer.ranked else None
        linear = isinstance(layer, (Dense, NestedLinear))
        if linear:
            finish = add_bias_relu_loop if after == RELU else add_bias_loop
            yield functools.partial(_linear, _factors(params, layer, rank), params[f"{layer.key}.b"].copy(), finish)
        elif not (before and layer == RELU):  # else the layer before has done it
            yield functools.partial(_run, layer, params, rank)
        before = linear


def _factors(params, layer, rank):
    """The matrices that an input is multiplied by in turn, each (d, e), their columns contiguous."""
    if rank is None:
        return (params[f"{layer.key}.W"].copy().T,)
    A, B = params[f"{layer.key}.A"][:rank], params[f"{layer.key}.B"][:, :rank]
    return A.copy().T, B.copy().T


def _linear(factors, b, finish, x):
    y = x if x.ndim == 2 else rows(x)
    for factor in factors:
        y = np.dot(y, factor)
    finish(y, b)
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], b.size)


def _run(layer, params, rank, x):
    return layer.forward(params, x, rank, kernels)[0]
