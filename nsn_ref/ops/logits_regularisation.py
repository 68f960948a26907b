"""Logits regularisation: the squared distance between the logits at the anchor and at the variant rank."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import rows, zeros_like


class LogitsRegularisationSaved(NamedTuple):
    """What the backward pass needs."""

    difference: np.ndarray  # (..., C): z_anchor - z_variant
    stop_anchor: bool


def logits_regularisation_forward(z_anchor, z_variant, *, stop_anchor=False):
    """Mean over the rows of the squared 2-norm of the difference.

    Parameters
    ----------
    z_anchor, z_variant : ndarray, shape (n, C) or (B, T, C)
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
    difference = z_anchor - z_variant
    penalty = (difference * difference).sum() / len(rows(difference))
    return penalty, LogitsRegularisationSaved(difference, stop_anchor)


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
    difference, stop_anchor = saved
    checks.number("logits_regularisation_backward", "dpenalty", dpenalty, like=difference)
    ddifference = difference * (2 * dpenalty) / len(rows(difference))  # penalty = (difference * difference).sum() / n
    return zeros_like(ddifference) if stop_anchor else ddifference, -ddifference  # difference = z_anchor - z_variant
