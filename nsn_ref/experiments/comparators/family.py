"""What every method returns: networks for a number of budgets, and what they cost to train and to keep."""

import math
from typing import NamedTuple

import numpy as np

from nsn_ref.experiments.comparators.setting import multiply_adds


class Member(NamedTuple):
    """A network at one budget; ``net.forward(params, x, rank)`` runs it."""

    net: object  # MLP
    params: dict  # str to ndarray
    rank: int  # 1 where the network is dense

    @property
    def multiply_adds(self):
        """Of one row."""
        return multiply_adds(self.net, self.rank)

    def predictor(self):
        """The member as a function of its input, quick to call."""
        from nsn_ref.inference import Predictor

        return Predictor(self.net, self.params, self.rank)

    def accuracy(self, x, labels):
        """Share of the rows that it gets right."""
        return float(np.mean(self.predictor()(x).argmax(axis=-1) == labels))


class Family(NamedTuple):
    """A trained method."""

    members: tuple  # one for each budget, in the order of `Setting.ranks`
    training: int  # multiply-adds of the whole training
    stored: int  # numbers that must be kept so that every member can be run


def at_ranks(net, params, ranks):
    """One nested network at each of several ranks."""
    return tuple(Member(net, params, rank) for rank in ranks)


def size(*nets):
    """Numbers in the parameters of networks, log-variances left out: inference does not read them."""
    return sum(math.prod(shape) for net in nets for name, shape in net.shapes().items() if name != "s")
