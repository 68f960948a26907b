"""The training run that the digits cases were made from still trains."""

import numpy as np
import pytest

from nsn_ref.golden import digits_weights, evaluate, suite
from nsn_ref.golden.cases import CASES
from nsn_ref.golden.locate import suite_dir

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def step():
    return digits_weights.training_step()


def test_a_new_run_makes_inputs_of_the_same_form(step):
    committed = next(c for c in suite.load(suite_dir()) if c.id == "mlp_step/f64/digits-001").inputs
    assert {n: (x.shape, x.dtype) for n, x in step.items()} == {n: (x.shape, x.dtype) for n, x in committed.items()}


def test_the_weights_are_trained_at_both_ranks(step):
    """Seven scans: chance is below one right, and a net in training has most of them right at its largest rank."""
    case = next(c for c in CASES if c.id == "mlp_step/f64/digits-001")
    outputs = evaluate.evaluate(evaluate.reference(), "mlp_step", step, case.design.attrs)
    right = (outputs["logits"].argmax(-1) == step["targets"]).sum(axis=1)
    assert right[0] >= 6 and right[1] >= 3
    assert all(np.isfinite(x).all() for x in outputs.values())
