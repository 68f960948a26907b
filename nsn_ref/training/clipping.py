"""Clipping of gradients by their global norm."""

import math

import numpy as np

from nsn_ref import checks


def clip_by_global_norm(grads, max_norm):
    """Scale all gradients by one factor so that their joint 2-norm is at most `max_norm`.

    The norm is taken relative to the largest element, so squares neither overflow nor underflow, and the scaling goes
    through that element too: a gradient of 1e300 is clipped like one of 1. Sums over arrays are rounded once
    (`math.fsum`), so the order of the dict changes nothing.

    Parameters
    ----------
    grads : dict of str to ndarray
        float32 or float64.
    max_norm : float, > 0, or None
        None measures the norm and never clips.

    Returns
    -------
    clipped : dict of str to ndarray
        The same arrays where the norm is at most `max_norm`.
    norm : float
        Before clipping; infinity where it is too large for a float64.

    Raises
    ------
    DTypeError, ShapeError, NonFiniteError, OptionError

    Notes
    -----
    Source: Pascanu, Mikolov & Bengio, arXiv:1211.5063, Algorithm 1. PyTorch's `clip_grad_norm_` divides by the norm
    plus 1e-6, so its result falls short of `max_norm` by that share; this divides by the norm.
    """
    if max_norm is not None:
        checks.between("clip_by_global_norm", "max_norm", max_norm, 0, open_low=True)
    for name, g in grads.items():
        checks.real_floats("clip_by_global_norm", name, g)
        checks.alike("clip_by_global_norm", **{name: g})
    largest = max((float(np.max(np.abs(g))) for g in grads.values() if g.size), default=0.0)
    if largest == 0:
        return dict(grads), 0.0
    relative = math.sqrt(math.fsum(np.sum(np.square(g / largest, dtype=np.float64)) for g in grads.values()))
    norm = largest * relative
    if max_norm is None or norm <= max_norm:
        return dict(grads), norm
    return {name: (g / largest) * (max_norm / relative) for name, g in grads.items()}, norm
