"""One scalar from the losses at K ranks, and its gradients: the choice of objective."""

from nsn_ref import checks
from nsn_ref.ops.objective import VARIANTS
from nsn_ref.scalars import number

OBJECTIVES = VARIANTS


def weigh(objective, losses, s, ranks, ops):
    """Total of the losses under an objective, and its gradients.

    Parameters
    ----------
    objective : str
        One of `OBJECTIVES`.
    losses : ndarray, shape (K,)
    s : ndarray, shape (R,)
        Log-variances by rank.
    ranks : sequence of K ints
    ops : module

    Returns
    -------
    total : number
    dlosses : ndarray, shape (K,)
    ds : ndarray, shape (R,)

    Raises
    ------
    OptionError
    """
    checks.choice("weigh", "objective", objective, OBJECTIVES)
    total, saved = ops.objective_forward(losses, s, ranks, variant=objective)
    return total, *ops.objective_backward(number(1, like=losses), saved)
