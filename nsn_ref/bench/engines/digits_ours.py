"""Digits by `nsn_ref.train`, checkpoint and metrics among it."""

import tempfile

from nsn_ref.bench import recipe
from nsn_ref.bench.engines import Steps
from nsn_ref.training.loop import train


class Digits(Steps):
    """A training as one step."""

    def __init__(self, epochs, engine="numba"):
        self.config, scans = recipe.config(epochs, engine), recipe.scans()
        self.data, self.held_out = (scans.x_train, scans.y_train), (scans.x_test, scans.y_test)

    def step(self, i):
        """Train."""
        with tempfile.TemporaryDirectory() as out:
            return train(
                recipe.network(), self.data, self.config, out=out, held_out=self.held_out, progress=False
            )  # fmt: skip

    def read(self, result):
        """As `recipe.outcome`."""
        return recipe.outcome([record["losses"] for record in result.metrics], result.params)


def make(task):
    """Our training."""
    return Digits(task["epochs"])
