"""The curves are those of the parameters, and s goes towards ln L."""

import numpy as np

from nsn_ref.experiments.paper.log_variance import run


def test_curves_end_at_the_parameters(digits, options, runs):
    found = run(digits, options(lr_s=0.02), 0)
    (trained,) = runs
    assert found["steps"] == sorted(set(found["steps"])) and found["steps"][-1] == trained.steps
    for r in (1, 2, 4, 8):
        assert len(found["s"][str(r)]) == len(found["steps"])
        assert found["s"][str(r)][-1] == float(trained.params["s"][r - 1])


def test_without_a_learning_rate_they_stay(digits, options):
    assert {s for curve in run(digits, options(lr_s=0.0), 0)["s"].values() for s in curve} == {0.0}


def test_they_go_towards_the_logarithm_of_the_loss(digits, options):
    found = run(digits, options(lr_s=0.02, epochs=30), 0)
    optimum = {r: np.log(loss) for r, loss in found["trained_on"].items()}
    apart = sum(abs(curve[-1] - optimum[r]) for r, curve in found["s"].items())
    assert apart < sum(map(abs, optimum.values()))  # s started at 0
