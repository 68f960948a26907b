"""Logits regularisation: the squared distance between the logits at the anchor and at the variant rank.

It is the hidden regularisation of the last layer.
"""

from typing import NamedTuple

from nsn_ref import checks
from nsn_ref.ops.hidden_regularisation import (
    HiddenRegularisationSaved,
    hidden_regularisation_backward,
    hidden_regularisation_forward,
)


class LogitsRegularisationSaved(NamedTuple):
    """What the backward pass needs."""

    hidden: HiddenRegularisationSaved  # difference: (..., C), z_anchor - z_variant


def logits_regularisation_forward(z_anchor, z_variant, *, stop_anchor=False):
    """Mean over the rows of the squared 2-norm of the difference.

    Parameters
    ----------
    z_anchor, z_variant : ndarray, shape (n, C) or (n, T, C)
        Logits of one batch at the anchor rank and at the variant rank.
    stop_anchor : bool
        Hold the anchor's logits constant: only the variant is pulled.

    Returns
    -------
    penalty : number, >= 0
    saved : LogitsRegularisationSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: arXiv:2509.17874v1, Table 1, "logits regularisation"; the mean over the batch and the option are ours.
    """
    name = "logits_regularisation_forward"
    checks.arrays(name, z_anchor=(z_anchor, "... C"), z_variant=(z_variant, "... C"))
    checks.not_empty(name, "z_anchor", z_anchor)
    penalty, hidden = hidden_regularisation_forward(z_anchor, z_variant, stop_anchor=stop_anchor)
    return penalty, LogitsRegularisationSaved(hidden)


def logits_regularisation_backward(dpenalty, saved):
    """Gradients with respect to the two logits; with `stop_anchor` the anchor's is exactly zero.

    Parameters
    ----------
    dpenalty : number
    saved : LogitsRegularisationSaved

    Returns
    -------
    dz_anchor, dz_variant : ndarray, the shape of the logits

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError
    """
    (hidden,) = saved
    checks.number("logits_regularisation_backward", "dpenalty", dpenalty, like=hidden.difference)
    return hidden_regularisation_backward(dpenalty, hidden)
