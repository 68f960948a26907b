"""A network trained by the package's own loop, and the arithmetic of its training."""

from nsn_ref.experiments.comparators.setting import step_cost
from nsn_ref.training.loop import train


def fit(net, split, setting, seed, *, targets=None, **options):
    """Train one network on the training rows.

    Parameters
    ----------
    net : MLP
    split : Split
    setting : Setting
    seed : int
    targets : ndarray, optional
        Default: the labels.
    options
        Of `TrainConfig`.

    Returns
    -------
    params : dict of str to ndarray
    training : int
        Multiply-adds, `step_cost` for every row and every rank of its step.
    """
    targets = split.y_train if targets is None else targets
    run = train(net, (split.x_train, targets), setting.config(split, seed, **options), progress=False)
    steps = zip(run.metrics, setting.batches(split, seed), strict=True)
    return run.params, sum(len(rows) * sum(step_cost(net, rank) for rank in record["ranks"]) for record, rows in steps)
