"""Gradients checked against complex-step directional derivatives, with a derived tolerance.

For a real-analytic f, the imaginary part of f(x + i h v) divided by h is the derivative of f along v up to h^2, without
the cancellation of a difference quotient (Squire & Trapp, SIAM Review 40, 1998). With a random cotangent dy and a
random direction v, the two sides of the adjoint identity

    <dy, Df(x) v> = <Df(x)^T dy, v>

are computed by the operation's forward on complex numbers and by its hand-written backward. Each input has its own
direction: moved together, a large gradient of one input would hide an error in a small one.

The tolerance is c u sum |terms|, in which neither factor is chosen. The backward run over `certify.rounding` yields a
bound e_i on the rounding error of each gradient element, that is, (number of roundings) u (sum of |terms|) for that
element; the inner products add n u sum |g_i v_i| on one side and m u sum |dy_j (Df v)_j| on the other. The complex step
forms the same terms as the backward; a complex product, quotient or elementary function rounds at most four times
where its real counterpart rounds once. Hence

    |difference| <= 5 (sum |v_i| e_i + n u sum |g_i v_i| + m u sum |dy_j (Df v)_j|).
"""

import math
from typing import NamedTuple

import numpy as np

from nsn_ref.certify import rounding
from nsn_ref.errors import ShapeError

STEP = 2.0**-300  # h^2 underflows to nothing beside 1, and dividing by h is exact
COMPLEX_ROUNDINGS = 4  # of a complex operation, for each rounding of its real counterpart
UNIT_ROUNDOFF = 2.0**-53


class GradientCheck(NamedTuple):
    """The outcome of one check, along a direction in one input; `passed` is False for NaN."""

    which: int  # the input's index
    forward: float  # <dy, Df v>, by complex step
    backward: float  # <Df^T dy, v>, by the hand-written backward
    tolerance: float

    @property
    def error(self):
        """Distance between the two sides."""
        return abs(self.forward - self.backward)

    @property
    def ratio(self):
        """Error relative to the tolerance; infinite where either is not a finite number."""
        if not (math.isfinite(self.error) and math.isfinite(self.tolerance)):
            return math.inf
        if self.error == 0:
            return 0.0
        return self.error / self.tolerance if self.tolerance else math.inf

    @property
    def passed(self):
        """Whether the error is within the tolerance."""
        return self.ratio <= 1


def check_gradient(forward, backward, inputs, rng):
    """Compare a hand-written backward with the complex-step derivatives of its forward, one direction for each input.

    Parameters
    ----------
    forward : callable
        ``forward(*inputs)`` returns ``(y, saved)``; y is an array or a number.
    backward : callable
        ``backward(dy, saved)`` returns the gradients of all inputs, in order (one input: the bare gradient will do).
    inputs : sequence of ndarray, float64
        What is differentiated; everything else is bound into `forward`.
    rng : numpy.random.Generator
        Draws the cotangent and the directions, all standard normal.

    Returns
    -------
    GradientCheck
        The worst one: the largest error relative to its tolerance.
    """
    inputs = [np.asarray(x, dtype=np.float64) for x in inputs]
    y, saved = forward(*inputs)
    dy = rng.standard_normal(np.shape(y))
    grads = _as_tuple(backward(_like_output(dy, y), saved))
    for x, g in zip(inputs, grads, strict=True):
        if np.shape(g) != x.shape:
            raise ShapeError(f"check_gradient: a gradient has shape {np.shape(g)}, expected {x.shape}, its input's")
    bounds = gradient_error_bounds(forward, backward, inputs, dy)
    checks = []
    with np.errstate(invalid="ignore", over="ignore"):  # NaN is refused, not warned about
        for k, (x, g, e) in enumerate(zip(inputs, grads, bounds, strict=True)):
            v = rng.standard_normal(x.shape)
            moved = [a + 1j * STEP * v if j == k else a.astype(np.complex128) for j, a in enumerate(inputs)]
            along = dy * (np.imag(forward(*moved)[0]) / STEP)
            slack = np.sum(np.abs(v) * e) + _summation_error(along) + _summation_error(g * v)
            checks.append(GradientCheck(k, np.sum(along), np.sum(g * v), (1 + COMPLEX_ROUNDINGS) * slack))
    return max(checks, key=lambda check: check.ratio)


def _summation_error(terms):
    return np.size(terms) * UNIT_ROUNDOFF * np.sum(np.abs(terms))


def gradient_error_bounds(forward, backward, inputs, dy, dtype="float64"):
    """Bounds on the rounding error of every gradient element, for any correct evaluation in `dtype`."""
    with rounding.precision(dtype):
        y, saved = forward(*(rounding.rounded(x) for x in inputs))
        exact = rounding.rounded(dy)
        grads = _as_tuple(backward(_like_output(exact, y), saved))
        return [rounding.errors(g) for g in grads]


def _like_output(dy, y):
    """A number for a number, an array for an array."""
    return dy if isinstance(y, np.ndarray) and y.ndim else dy[()]


def _as_tuple(grads):
    return grads if isinstance(grads, tuple) else (grads,)
