"""One nested network on real scans against its rivals, by repeated stratified cross-validation.

The rivals, all of the same activation, optimiser, schedule and number of epochs:

- specialists: a factorised network for each rank, trained alone at it (arXiv:2509.17874v1, Fig. 2);
- truncated: the specialist of the largest rank, cut to each lower one (Fig. 2);
- dense: a network without factors for each rank, its hidden width chosen so that its FLOPs are nearest (Fig. 4).
"""

from dataclasses import asdict, dataclass

import numpy as np

from nsn_ref import checks
from nsn_ref.analysis.linear_layers import linear_layers, network_flops
from nsn_ref.errors import OptionError
from nsn_ref.experiments import models
from nsn_ref.experiments.digits_data import CLASSES, WIDTH, load_scans, split, stratified_folds
from nsn_ref.experiments.models import dense_flops
from nsn_ref.nets.mlp import MLP
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.loop import train

FOLDS = 5
HIDDEN = (128, 128)
R = 32
# chosen on splits of another seed, for all models alike
SETTINGS = {"epochs": 120, "batch_size": 64, "lr": 0.02, "warmup_steps": 100, "clip": 1.0, "weight_decay": 0.3}
NESTED = {"objective": "uncertainty", "curriculum": "uniform", "lr_s": 0.001}
ALONE = {"objective": "sum", "curriculum": "anchor"}


@dataclass(frozen=True)
class Plan:
    """What is run.

    Parameters
    ----------
    hidden : tuple of int
        Hidden widths.
    R : int
    trained, untrained : tuple of int
        Ranks that the nested network is trained at, the largest of them R; and ranks that it never sees.
    repeats : int
        Of the 5-fold cross-validation, each with folds of its own.
    splits : int, optional
        Stop after as many; default: all, 5 for each repeat.
    seed : int
        Of the folds; split i trains every model with the seed `seed` + i.
    settings : tuple of (str, value)
        What replaces the options of those names in `SETTINGS`.

    Raises
    ------
    OptionError, RankError
    """

    hidden: tuple = HIDDEN
    R: int = R
    trained: tuple = (1, 2, 4, 8, 16, 32)
    untrained: tuple = (3, 5, 6, 10, 12, 20, 24)
    repeats: int = 3
    splits: int | None = None
    seed: int = 0
    settings: tuple = ()

    def __post_init__(self):
        checks.ranks("Plan", (*self.trained, *self.untrained), self.R)
        if max(self.trained) != self.R or set(self.trained) & set(self.untrained):
            raise OptionError(
                f"Plan: trained is {self.trained!r} and untrained {self.untrained!r}, "
                f"expected R = {self.R} among the former and nothing in both"
            )
        checks.integer("Plan", "repeats", self.repeats, 1)
        checks.integer("Plan", "seed", self.seed, 0)
        if self.splits is not None:
            checks.integer("Plan", "splits", self.splits, 2, FOLDS * self.repeats)

    @property
    def ranks(self):
        """All ranks that are looked at, ascending."""
        return tuple(sorted((*self.trained, *self.untrained)))

    @property
    def count(self):
        """Number of splits."""
        return FOLDS * self.repeats if self.splits is None else self.splits


FULL = Plan()
QUICK = Plan(
    hidden=(32, 32), R=16, trained=(2, 16), untrained=(8,), repeats=1, splits=2,
    settings=(("epochs", 10), ("warmup_steps", 0)),
)  # fmt: skip


def run(plan=FULL, *, command="", progress=lambda items: items):
    """Run the experiment.

    Parameters
    ----------
    plan : Plan
    command : str
        What runs it again, for the record.
    progress : callable
        Wraps the list of splits, to show how far it is.

    Returns
    -------
    dict
        What JSON can hold: the plan, the widths of the dense networks, FLOPs by rank, and for each split the accuracy
        on the rows held out, by model and rank.

    Raises
    ------
    DataError
    """
    from nsn_ref.training.run import environment

    x, labels = load_scans()
    net = nested_net(plan)
    layers = linear_layers(net, x.shape)
    flops = {r: network_flops(layers, r) for r in plan.ranks}
    widths = {r: matched_width(flops[r], plan) for r in plan.trained}
    splits = []
    for i in progress(range(plan.count)):
        repeat, fold = divmod(i, FOLDS)
        folds = stratified_folds(labels, FOLDS, np.random.default_rng([plan.seed, repeat]))
        scans = split(x, labels, folds[fold])
        splits.append(
            {"repeat": repeat, "fold": fold, "seed": plan.seed + i}
            | {name: by_rank(values) for name, values in compare(plan, scans, widths, plan.seed + i).items()}
        )
    return {
        "experiment": "digits",
        "command": command,
        "plan": asdict(plan),
        "settings": SETTINGS | dict(plan.settings),
        "nested": NESTED,
        "alone": ALONE,
        "environment": environment() | {"processor": processor()},
        "rows": len(x),
        "flops": by_rank(flops),
        "dense_flops": by_rank({r: dense_flops(dense_net(w, plan)) for r, w in widths.items()}),
        "dense_widths": by_rank(widths),
        "splits": splits,
    }


def compare(plan, scans, widths, seed):
    """Train every model on one split.

    Returns
    -------
    dict of str to dict of int to float
        Accuracy on the rows held out, by model and rank.
    """
    below = tuple(r for r in plan.trained if r < plan.R)
    nested = fit(nested_net(plan), scans, plan, seed, variants=below, **NESTED)
    alone = {r: fit(MLP(nested_net(plan).widths, r), scans, plan, seed, **ALONE) for r in plan.ranks}
    dense = {r: fit(dense_net(widths[r], plan), scans, plan, seed, **ALONE) for r in plan.trained}
    return {
        "nested": {r: accuracy(nested, scans, r) for r in plan.ranks},
        "specialist": {r: accuracy(alone[r], scans, r) for r in plan.ranks},
        "truncated": {r: accuracy(alone[plan.R], scans, r) for r in plan.ranks},
        "dense": {r: accuracy(dense[r], scans, 1) for r in plan.trained},
    }


def fit(net, scans, plan, seed, **options):
    """Train one network on the training rows of a split."""
    config = TrainConfig(seed=seed, **(SETTINGS | dict(plan.settings) | options))
    return train(net, (scans.x_train, scans.y_train), config, progress=False)


def accuracy(run, scans, rank):
    """Share of the held-out rows that a trained network gets right."""
    z, _ = run.net.forward(run.params, scans.x_test, rank)
    return float(np.mean(z.argmax(axis=-1) == scans.y_test))


def nested_net(plan):
    """The nested network of a plan."""
    return MLP((WIDTH, *plan.hidden, CLASSES), plan.R)


def dense_net(width, plan):
    """A network without factors, all hidden layers of one width."""
    return models.dense_net(WIDTH, width, len(plan.hidden), CLASSES)


def matched_width(flops, plan):
    """The hidden width whose dense network comes nearest to a number of FLOPs."""
    return models.matched_width(flops, lambda width: dense_net(width, plan))


def by_rank(values):
    """The same dict with keys that JSON can hold."""
    return {str(rank): value for rank, value in values.items()}


def processor():
    """Name of the CPU's model, as far as the system tells."""
    import platform
    from pathlib import Path

    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
