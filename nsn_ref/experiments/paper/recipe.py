"""What these experiments have in common: sizes, networks, training, and scores by rank."""

from nsn_ref.nets.mlp import MLP
from nsn_ref.training import samplers
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.loop import train

FORMS = {
    "smoke": {"R": 8, "hidden": [16, 16], "epochs": 4},
    "quick": {"R": 64, "hidden": [128, 128], "epochs": 60},
    "full": {"R": 64, "hidden": [128, 128], "epochs": 120},
}
SEEDS = {"smoke": 2, "quick": 10, "full": 30}
INTERPOLATED = (3, 5, 10, 20, 30, 40, 50)  # the ranks between the trained ones at which the paper tests

# those of `nsn_ref.experiments.digits`
SETTINGS = {"batch_size": 64, "lr": 0.02, "clip": 1.0, "weight_decay": 0.3}
EQ_3 = {"objective": "uncertainty", "curriculum": "uniform", "lr_s": 0.001}
ALONE = {"objective": "sum", "curriculum": "anchor"}


def cells(form, choices):
    """The options of one cell for each choice: the sizes of the form, and what the choice sets."""
    return [FORMS[form] | choice for choice in choices]


def trained_ranks(R):
    """1, 2, 4, ... and R."""
    return (*(1 << k for k in range((R - 1).bit_length())), R)


def untrained_ranks(R):
    """The paper's interpolated ranks, those below R that are not trained."""
    return tuple(r for r in INTERPOLATED if r < R and r not in trained_ranks(R))


def nested_net(data, options, R=None):
    """The network of a cell; a specialist stores `R` components only."""
    return MLP((data.x.shape[1], *options["hidden"], data.classes), options["R"] if R is None else R)


def total_steps(options, rows):
    """Length of a training."""
    return options["epochs"] * samplers.steps_per_epoch(len(rows.x_train), SETTINGS["batch_size"])


def fit(net, rows, options, seed, callback=None, params=None, **changes):
    """Train a network on the training rows of a split.

    The first twentieth of the steps warms up, so that data of any size will do.
    """
    steps = total_steps(options, rows)
    config = TrainConfig(steps=steps, warmup_steps=steps // 20, seed=seed, **SETTINGS | changes)
    return train(net, (rows.x_train, rows.y_train), config, params=params, progress=False, callback=callback)


def fit_nested(data, rows, options, seed, callback=None, params=None, **changes):
    """Train the nested network of a cell under Eq. 3 at its trained ranks, or as `changes` say."""
    changes = EQ_3 | {"variants": trained_ranks(options["R"])[:-1]} | changes
    return fit(nested_net(data, options), rows, options, seed, callback, params, **changes)


def accuracies(network, rows, ranks):
    """Share of the held-out rows that a network (with `net` and `params`) gets right, by rank.

    Returns
    -------
    dict of str to float
        With keys that JSON can hold.
    """
    from nsn_ref.inference import scores_at_ranks

    scores = scores_at_ranks(network.net, network.params, rows.x_test, rows.y_test, tuple(ranks))
    return {str(rank): float(value) for rank, value in zip(scores.ranks, scores.accuracies, strict=True)}


def losses(network, x, labels, ranks):
    """Mean cross-entropy of a network, by rank, as `accuracies`."""
    from nsn_ref.inference import scores_at_ranks

    scores = scores_at_ranks(network.net, network.params, x, labels, tuple(ranks))
    return {str(rank): float(value) for rank, value in zip(scores.ranks, scores.losses, strict=True)}
