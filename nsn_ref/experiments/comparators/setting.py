"""What all methods have in common: shapes, budgets, batches, optimiser and schedule."""

import functools
from dataclasses import dataclass

from nsn_ref import checks
from nsn_ref.analysis.cost import dense_cost, network_cost
from nsn_ref.analysis.linear_layers import linear_layers
from nsn_ref.experiments.digits import SETTINGS
from nsn_ref.experiments.models import dense_mlp, matched_width
from nsn_ref.nets.mlp import MLP
from nsn_ref.plain import make_plain
from nsn_ref.training import samplers
from nsn_ref.training.config import TrainConfig

PASSES = 3  # of the size of a forward pass in a step: forward, gradients of the inputs, gradients of the weights


@dataclass(frozen=True)
class Setting:
    """Budgets are given as ranks of the nested network; other methods get as many FLOPs.

    Parameters
    ----------
    d_in, classes : int
    hidden : tuple of int
        Widths of the hidden layers of the nested network.
    ranks : tuple of int
        Ascending; the last is R.
    epochs : int

    Raises
    ------
    OptionError, RankError
    """

    d_in: int
    classes: int
    hidden: tuple
    ranks: tuple
    epochs: int

    def __post_init__(self):
        make_plain(self)
        for name in ("d_in", "classes", "epochs"):
            checks.integer("Setting", name, getattr(self, name), 1)
        checks.ranks("Setting", self.ranks, self.R)

    @property
    def R(self):
        """The largest rank."""
        return self.ranks[-1]

    def nested(self, R):
        """A network whose hidden layers are nested, with R components."""
        return MLP((self.d_in, *self.hidden, self.classes), R)

    def dense(self, width):
        """A network without factors, its hidden layers of one width (an int) or each of its own (a tuple)."""
        widths = (width,) * len(self.hidden) if isinstance(width, int) else width
        return dense_mlp((self.d_in, *widths, self.classes))

    @functools.cached_property
    def widths(self):
        """For each rank the hidden width at which a dense network comes nearest to its FLOPs; ascending."""
        return self.matched(self.dense)

    def matched(self, net_of):
        """For each rank the width at which a network without factors, `net_of(width)`, comes nearest to its FLOPs."""
        costs = (multiply_adds(self.nested(self.R), rank) for rank in self.ranks)
        return tuple(matched_width(2 * cost, net_of) for cost in costs)

    def config(self, split, seed, **options):
        """The options of a training; the first twentieth of its steps warms up."""
        own = {"epochs": self.epochs, "warmup_steps": self._steps(split) // 20, "seed": seed}
        return TrainConfig(**SETTINGS | own | options)

    def batches(self, split, seed):
        """Row numbers of each step's batch."""
        rows, batch_size = len(split.x_train), SETTINGS["batch_size"]
        return [samplers.batch(seed, step, rows, batch_size) for step in range(self._steps(split))]

    def _steps(self, split):
        return self.epochs * samplers.steps_per_epoch(len(split.x_train), SETTINGS["batch_size"])


@functools.cache
def multiply_adds(net, rank, *, cached=True):
    """Multiply-adds of one row at one rank.

    Parameters
    ----------
    net : MLP
    rank : int
        Of no meaning where the network is dense.
    cached : bool
        Count a layer's product W_r where its factors would cost more, which is how `inference.Predictor` runs it.

    Returns
    -------
    int
    """
    layers = linear_layers(net, (1, net.widths[0]))
    cost = network_cost(layers, rank, cached=cached) if net.nested_layers else dense_cost(layers)
    return cost.multiply_adds


def step_cost(net, rank):
    """Multiply-adds of one row in a step of training, at one rank."""
    return PASSES * multiply_adds(net, rank, cached=False)
