"""Logits regularisation: the hidden regularisation of the last layer."""

from nsn_ref.kernels.hidden_regularisation import distance, pulls
from nsn_ref.ops.logits_regularisation import LogitsRegularisationSaved


def logits_regularisation_forward(z_anchor, z_variant, *, stop_anchor=False):
    """As `nsn_ref.ops.logits_regularisation_forward`."""
    penalty, hidden = distance("logits_regularisation_forward", stop_anchor, z_anchor=z_anchor, z_variant=z_variant)
    return penalty, LogitsRegularisationSaved(hidden)


def logits_regularisation_backward(dpenalty, saved, *, out=None):
    """As `nsn_ref.ops.logits_regularisation_backward`; `out` takes (dz_anchor, dz_variant)."""
    return pulls("logits_regularisation_backward", dpenalty, saved.hidden, out)
