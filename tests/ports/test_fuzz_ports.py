"""PyTorch and JAX on random inputs that no committed case has: no answer lies outside its bound."""

import numpy as np
import pytest

from nsn_ref.golden import ports
from nsn_ref.golden.cases import CASES
from nsn_ref.golden.fuzz.run import fuzz_port
from nsn_ref.golden.locate import golden_dir

COVERED = sorted({(case.design.op, case.dtype) for case in CASES})


def port(framework):
    pytest.importorskip(framework)
    return ports.load(str(golden_dir() / "ports" / f"{framework}_port.py"))


@pytest.mark.parametrize("op", ["nested_linear_backward", "causal_attention_forward", "decoder_loss_and_grads"])
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_random_inputs_are_answered_within_the_bounds(framework, op, rng):
    outcome = fuzz_port(port(framework), op, "float32", 2, rng)
    assert outcome.rejected == 0 and outcome.trials == 2 and outcome.rho <= 1


@pytest.mark.slow
def test_many_are(rng):
    torch = port("torch")
    outcomes = [fuzz_port(torch, op, dtype, 5, rng) for op, dtype in COVERED]
    assert [(o.op, o.dtype, o.rho) for o in outcomes if o.rejected] == []
    assert all(o.trials == 5 for o in outcomes)


def test_a_mistake_is_noticed(rng):
    wrong = port("torch")
    right = wrong.target.run
    wrong.target.run = lambda *args: {name: x * np.float32(1 + 2.0**-16) for name, x in right(*args).items()}
    assert fuzz_port(wrong, "dense_forward", "float32", 5, rng).rejected == 5
