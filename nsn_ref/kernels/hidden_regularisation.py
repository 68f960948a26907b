"""Hidden regularisation: difference and sum of squares in one pass, both gradients in another."""

import numpy as np

from nsn_ref import checks
from nsn_ref.kernels.common import compiled, flat, floats, outputs, shapes
from nsn_ref.kernels.mean_squared_error import mean_squared_error_loop
from nsn_ref.ops.hidden_regularisation import HiddenRegularisationSaved
from nsn_ref.scalars import rows


@compiled
def pull_loop(difference, factor, stop_anchor, danchor, dvariant):
    """Gradients of both outputs; the anchor's is zero where it is held constant."""
    for i in range(difference.size):
        pull = difference[i] * factor
        danchor[i] = 0 if stop_anchor else pull
        dvariant[i] = -pull


def hidden_regularisation_forward(h_anchor, h_variant, *, stop_anchor=False):
    """As `nsn_ref.ops.hidden_regularisation_forward`."""
    return distance("hidden_regularisation_forward", stop_anchor, h_anchor=h_anchor, h_variant=h_variant)


def hidden_regularisation_backward(dpenalty, saved, *, out=None):
    """As `nsn_ref.ops.hidden_regularisation_backward`; `out` takes (dh_anchor, dh_variant)."""
    return pulls("hidden_regularisation_backward", dpenalty, saved, out)


def distance(name, stop_anchor, **outputs):
    """Mean over the rows of the squared 2-norm of the difference of two outputs, and the saved context."""
    floats(name, **outputs)
    (first, anchor), (second, variant) = outputs.items()
    shapes(name, **{second: (variant, anchor.shape)})
    checks.not_empty(name, first, anchor)
    difference = np.empty(anchor.shape, anchor.dtype)
    total = mean_squared_error_loop(flat(anchor), flat(variant), flat(difference))
    return difference.dtype.type(total / len(rows(difference))), HiddenRegularisationSaved(difference, stop_anchor)


def pulls(name, dpenalty, saved, out):
    """The gradients of `distance`."""
    difference, stop_anchor = saved
    floats(name, difference=difference)
    danchor, dvariant = outputs(name, out, difference.dtype, difference.shape, difference.shape)
    n = len(rows(difference))
    factor = difference.dtype.type(2 * dpenalty / n)  # penalty = (difference * difference).sum() / n
    pull_loop(flat(difference), factor, bool(stop_anchor), flat(danchor), flat(dvariant))
    return danchor, dvariant
