"""The regularisers of Table 1 between the anchor and its variants, summed over layers and variants."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref import ops as reference
from nsn_ref.errors import OptionError
from nsn_ref.nets.layers import Activation, sum_grads
from nsn_ref.scalars import number, zeros_like

REGULARISERS = ("hard_orthogonality", "residual_orthogonality", "logits", "hidden")


class Penalties(NamedTuple):
    """The penalties, multiplied by their coefficients, and their gradients."""

    values: dict  # str to number: what each regulariser adds to the total
    dlogits: np.ndarray  # (K, n, C)
    dhidden: list  # K sequences: of the outputs of the activations
    grads: dict  # str to ndarray: of first factors


def check_regularisers(function, regularisers, net=None):
    """Check names and coefficients, and where a network is given that it has what they regularise.

    Raises
    ------
    OptionError
    """
    if not isinstance(regularisers, dict):
        raise OptionError(f"{function}: regularisers is {regularisers!r}, expected a dict of coefficients by name")
    for name, coefficient in regularisers.items():
        checks.choice(function, "regularisers", name, REGULARISERS)
        checks.between(function, f"regularisers[{name!r}]", coefficient, 0, open_high=True)
    if "hidden" in regularisers and net is not None and not any(isinstance(layer, Activation) for layer in net.layers):
        raise OptionError(f"{function}: regularisers has 'hidden', expected a network with activations in its chain")


def penalties(regularisers, layers, params, ranks, logits, hidden, stop_anchor=False, ops=reference):
    """Evaluate the chosen regularisers.

    Parameters
    ----------
    regularisers : dict of str to number
        Coefficients by name.
    layers : sequence of Layer
        The nested layers.
    params : dict of str to ndarray
    ranks : sequence of K tuples
        Rank of every nested layer; the first tuple is the anchor's.
    logits : ndarray, shape (K, n, C)
    hidden : sequence of K lists of ndarray
        Outputs of the activations.
    stop_anchor : bool
        Hold the anchor's logits and hidden outputs constant.
    ops : module
        `nsn_ref.ops`, or `nsn_ref.kernels` for float32 and float64.

    Returns
    -------
    Penalties
    """
    values, grads = {}, []
    dlogits, dhidden = zeros_like(logits), [()] * len(ranks)
    for name, coefficient in regularisers.items():
        c = number(coefficient, like=logits)
        if name == "logits":
            functions = ops.logits_regularisation_forward, ops.logits_regularisation_backward
            values[name], dys = _distances(*functions, logits, c, stop_anchor)
            dlogits = np.stack(dys)
        elif name == "hidden":
            functions = ops.hidden_regularisation_forward, ops.hidden_regularisation_backward
            each = [_distances(*functions, ys, c, stop_anchor) for ys in zip(*hidden, strict=True)]
            values[name] = sum(value for value, _ in each)
            dhidden = list(zip(*(dys for _, dys in each), strict=True)) or dhidden
        elif name == "hard_orthogonality":
            values[name], own = _hard(layers, params, ranks[0], c, ops)
            grads += own
        else:
            values[name], own = _residual(layers, params, ranks, c, ops)
            grads += own
    return Penalties(values, dlogits, dhidden, sum_grads(grads))


def _distances(forward, backward, ys, c, stop_anchor):
    """Penalty between the first output and each of the others, and the cotangents of all."""
    value, dys = 0, [zeros_like(y) for y in ys]
    for k in range(1, len(ys)):
        penalty, saved = forward(_flat(ys[0]), _flat(ys[k]), stop_anchor=stop_anchor)
        danchor, dvariant = (dy.reshape(ys[0].shape) for dy in backward(c, saved))
        value, dys[0], dys[k] = value + c * penalty, dys[0] + danchor, dvariant
    return value, dys


def _flat(y):
    """Images (n, c, H, W) as one row each, so that the mean is over the batch."""
    return y.reshape(len(y), -1) if y.ndim == 4 else y


def _hard(layers, params, anchor, c, ops):
    """Penalty of the rows that the anchor uses, and its gradients."""
    value, grads = 0, []
    for layer, rank in zip(layers, anchor, strict=True):
        A = _first_factor(layer, params)
        penalty, saved = ops.hard_orthogonality_forward(A[:rank])
        dA = zeros_like(A)
        dA[:rank] = ops.hard_orthogonality_backward(c, saved)
        value, grads = value + c * penalty, [*grads, _gradient(layer, params, dA)]
    return value, grads


def _residual(layers, params, ranks, c, ops):
    """Penalty between the rows that a variant uses and those that it omits, and its gradients."""
    value, grads = 0, []
    for variant in ranks[1:]:
        for layer, rank, anchor in zip(layers, variant, ranks[0], strict=True):
            if rank < anchor:  # else the variant omits nothing here
                penalty, saved = ops.residual_orthogonality_forward(_first_factor(layer, params), rank, anchor)
                dA = ops.residual_orthogonality_backward(c, saved)
                value, grads = value + c * penalty, [*grads, _gradient(layer, params, dA)]
    return value, grads


def _first_factor(layer, params):
    """A as a matrix; a convolution's rows are its flattened kernels."""
    A = params[layer.first_factor]
    return A.reshape(len(A), -1)


def _gradient(layer, params, dA):
    return {layer.first_factor: dA.reshape(params[layer.first_factor].shape)}
