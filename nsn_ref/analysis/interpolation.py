"""How far the outputs of a network at one rank can lie from those at another: Prop. 1 for a deep network.

The paper bounds the change of one linear layer. Here the ranks are changed one layer at a time: the change inside a
layer is bounded by its energies, and reaches the output multiplied by the Lipschitz constants of what follows.
"""

import math

import numpy as np

from nsn_ref import checks, ops
from nsn_ref.analysis.energy import component_energies
from nsn_ref.errors import OptionError
from nsn_ref.nets.layers import Activation, Dense, NestedLinear

# the largest slopes, rounded up: gelu's is at sqrt(2), gelu_tanh's at 1.4185, silu's at 2.3994
LIPSCHITZ = {"relu": 1.0, "gelu": 1.12891, "gelu_tanh": 1.129, "silu": 1.09984}
CROSS_ENTROPY_LIPSCHITZ = math.sqrt(2)  # norm(p - onehot)^2 <= (1 - p_y)^2 + (1 - p_y)^2; float64 rounds it up


def interpolation_bound(net, params, x, rank, other, *, change="energy"):
    """Bound on norm(logits at `rank` - logits at `other`), for each input.

    With h_i the input of layer i in the network at `rank`, and W_i the weights of layer i at `other`, it is the sum
    over the layers i of (change inside layer i, on h_i) times the product over the layers j > i of norm(W_j), times the
    Lipschitz constants of the activations after layer i. Exchanging the two ranks gives another bound.

    ========  ===========================================================================  ======================
    change    inside a layer with input h, over the components i between its two ranks     weights needed
    ========  ===========================================================================  ======================
    "energy"  sum_i norm(b_i) norm(a_i) norm(h), as in Prop. 1                             norms only
    "data"    sum_i norm(b_i) abs(a_i h)                                                   norms of the b_i; A
    "exact"   norm(sum_i b_i (a_i h)), what the layer does                                 A and B
    ========  ===========================================================================  ======================

    Parameters
    ----------
    net : MLP
    params : dict of str to ndarray
        float32 or float64.
    x : ndarray, shape (..., d_in)
    rank, other : int or tuple of int
        One rank for all nested layers or one for each, as in `Chain.forward`.
    change : {"energy", "data", "exact"}

    Returns
    -------
    ndarray, shape (...)
        Up to rounding.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, OptionError
        OptionError for a layer that is neither linear nor an activation.

    Notes
    -----
    Claims: ENG-5.

    Source: arXiv:2509.17874v1, Prop. 1, for one layer; the chain is ours (docs/deep-bound.md).
    """
    name = "interpolation_bound"
    checks.choice(name, "change", change, tuple(CHANGES))
    checks.real_floats(name, "x", x)
    net.check(name, params, x)
    pairs = zip(net.layer_ranks(rank, name), net.layer_ranks(other, name), strict=True)
    h, bound = x, np.zeros(x.shape[:-1], x.dtype)
    for layer in net.layers:
        r = None
        if isinstance(layer, Activation):
            bound = bound * LIPSCHITZ[layer.name]
        elif isinstance(layer, Dense):
            bound = bound * np.linalg.norm(params[f"{layer.key}.W"], 2)
        elif isinstance(layer, NestedLinear):
            r, to = next(pairs)
            A, B = params[f"{layer.key}.A"], params[f"{layer.key}.B"]
            between = slice(min(r, to), max(r, to))
            bound = bound * np.linalg.norm(B[:, :to] @ A[:to], 2) + CHANGES[change](h, A[between], B[:, between])
        else:
            raise OptionError(f"{name}: net has a {type(layer).__name__}, expected linear layers and activations")
        h, _ = layer.forward(params, h, r, ops)
    return bound


def loss_interpolation_bound(net, params, x, rank, other, *, change="energy"):
    """Bound on the change of the mean cross-entropy between two ranks, whatever the labels.

    Parameters
    ----------
    net, params, x, rank, other, change
        As in `interpolation_bound`.

    Returns
    -------
    float

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, RankError, OptionError

    Notes
    -----
    Claims: ENG-5.

    Source: arXiv:2509.17874v1, Prop. 1, with the Lipschitz constant sqrt(2) of cross-entropy in the logits.
    """
    return CROSS_ENTROPY_LIPSCHITZ * float(np.mean(interpolation_bound(net, params, x, rank, other, change=change)))


def _by_energy(h, A, B):
    return component_energies(A, B).sum() * np.linalg.norm(h, axis=-1)


def _by_data(h, A, B):
    return np.abs(h @ A.T) @ np.linalg.norm(B, axis=0)


def _exactly(h, A, B):
    return np.linalg.norm((h @ A.T) @ B.T, axis=-1)


CHANGES = {"energy": _by_energy, "data": _by_data, "exact": _exactly}
