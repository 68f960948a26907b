"""Digits by scikit-learn's MLPClassifier: a dense network of the same widths, for as many epochs.

It trains one network at one rank, without clipping, decay apart from the gradient, or a schedule: less work a step.
"""

import warnings

from nsn_ref.bench import recipe
from nsn_ref.bench.engines import Steps


class Digits(Steps):
    """A training as one step."""

    def __init__(self, epochs):
        from sklearn.neural_network import MLPClassifier

        config = recipe.config(epochs)

        def fresh():
            return MLPClassifier(
                recipe.network().widths[1:-1], batch_size=config.batch_size, max_iter=epochs, tol=0.0,
                n_iter_no_change=epochs + 1, random_state=0,
            )  # fmt: skip

        self.fresh = fresh

    def step(self, i):
        """Train."""
        scans = recipe.scans()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that it has not converged
            return self.fresh().fit(scans.x_train, scans.y_train)

    def read(self, result):
        """The accuracy on the held-out scans."""
        return [recipe.accuracy(result.predict(recipe.scans().x_test))]


def make(task):
    """Scikit-learn's training."""
    return Digits(task["epochs"])
