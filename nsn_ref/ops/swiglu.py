"""Gated activation of a gated MLP: y = silu(gate) up."""

from typing import NamedTuple

import numpy as np

from nsn_ref import checks
from nsn_ref.ops.silu import SiluSaved, silu_backward, silu_forward


class SwigluSaved(NamedTuple):
    """What the backward pass needs."""

    up: np.ndarray  # any shape
    activated: np.ndarray  # the shape of up: silu(gate)
    silu: SiluSaved


def swiglu_forward(gate, up):
    """Multiply one projection by the sigmoid linear unit of another.

    Parameters
    ----------
    gate, up : ndarray, any one shape

    Returns
    -------
    y : ndarray, the shape of gate
    saved : SwigluSaved

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, NumberSystemError

    Notes
    -----
    Source: Shazeer, arXiv:2002.05202, Eq. 5, without its matrices.
    """
    checks.alike("swiglu_forward", gate=gate, up=up)
    activated, silu = silu_forward(gate)
    return activated * up, SwigluSaved(up, activated, silu)


def swiglu_backward(dy, saved):
    """Gradients of both factors.

    Parameters
    ----------
    dy : ndarray, the shape of gate
    saved : SwigluSaved

    Returns
    -------
    dgate, dup : ndarray
        In the shapes of gate, up.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
    """
    up, activated, silu = saved
    checks.cotangent("swiglu_backward", dy, up.shape, like=up)
    return silu_backward(dy * up, silu), dy * activated  # y = activated * up
