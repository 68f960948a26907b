"""Gated activation of a gated MLP: y = gelu(gate) up."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.ops.gelu import FORMS, GeluSaved, gelu_backward, gelu_forward


class GegluSaved(NamedTuple):
    """What the backward pass needs."""

    up: np.ndarray  # any shape
    activated: np.ndarray  # the shape of up: gelu(gate)
    gelu: GeluSaved


def geglu_forward(gate, up, *, approximate="none"):
    """Multiply one projection by the Gaussian error linear unit of another.

    Parameters
    ----------
    gate, up : ndarray, any one shape
    approximate : {"none", "tanh"}
        As for `gelu_forward`.

    Returns
    -------
    y : ndarray, the shape of gate
    saved : GegluSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, OptionError, NumberSystemError

    Notes
    -----
    Source: Shazeer, arXiv:2002.05202, Eq. 5, without its matrices.
    """
    checks.choice("geglu_forward", "approximate", approximate, FORMS)
    checks.alike("geglu_forward", gate=gate, up=up)
    activated, gelu = gelu_forward(gate, approximate=approximate)
    return activated * up, GegluSaved(up, activated, gelu)


def geglu_backward(dy, saved):
    """Gradients of both factors.

    Parameters
    ----------
    dy : ndarray, the shape of gate
    saved : GegluSaved

    Returns
    -------
    dgate, dup : ndarray
        In the shapes of gate, up.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
    """
    up, activated, gelu = saved
    checks.cotangent("geglu_backward", dy, up.shape, like=up)
    return gelu_backward(dy * up, gelu), dy * activated  # y = activated * up
