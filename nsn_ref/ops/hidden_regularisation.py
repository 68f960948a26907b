"""Hidden regularisation: the squared distance between a layer's outputs at the anchor and at the variant rank."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.scalars import rows, zeros_like


class HiddenRegularisationSaved(NamedTuple):
    """What the backward pass needs."""

    difference: np.ndarray  # (..., d): h_anchor - h_variant
    stop_anchor: bool


def hidden_regularisation_forward(h_anchor, h_variant, *, stop_anchor=False):
    """Mean over the rows of the squared 2-norm of the difference.

    Parameters
    ----------
    h_anchor, h_variant : ndarray, shape (n, d) or (n, T, d)
        A layer's output after its activation (bottlenecks have different widths), of one batch at both ranks.
    stop_anchor : bool
        Hold the anchor's output constant: only the variant is pulled.

    Returns
    -------
    penalty : number, >= 0
    saved : HiddenRegularisationSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError

    Notes
    -----
    Source: arXiv:2509.17874v1, Table 1, "hidden regularisation"; the mean over the batch and the option are ours.
    """
    name = "hidden_regularisation_forward"
    checks.arrays(name, h_anchor=(h_anchor, "... d"), h_variant=(h_variant, "... d"))
    checks.not_empty(name, "h_anchor", h_anchor)
    difference = h_anchor - h_variant
    penalty = (difference * difference).sum() / len(rows(difference))
    return penalty, HiddenRegularisationSaved(difference, stop_anchor)


def hidden_regularisation_backward(dpenalty, saved):
    """Gradients with respect to the two outputs; with `stop_anchor` the anchor's is exactly zero.

    Parameters
    ----------
    dpenalty : number
    saved : HiddenRegularisationSaved

    Returns
    -------
    dh_anchor, dh_variant : ndarray, the shape of the outputs

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError
    """
    difference, stop_anchor = saved
    checks.number("hidden_regularisation_backward", "dpenalty", dpenalty, like=difference)
    ddifference = difference * (2 * dpenalty) / len(rows(difference))  # penalty = (difference * difference).sum() / n
    return zeros_like(ddifference) if stop_anchor else ddifference, -ddifference  # difference = h_anchor - h_variant
