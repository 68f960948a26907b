"""Who takes the steps: what stands in the way of the compiled step is named, and both ways agree."""

import numpy as np
import pytest

from nsn_ref import blas
from nsn_ref.errors import NSNError
from nsn_ref.nets.convnet import ConvNet
from nsn_ref.nets.mlp import MLP
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.engines import load_engine
from nsn_ref.training.loop import run_steps
from nsn_ref.training.step import start
from nsn_ref.training.steppers import CompiledSteps, OperationSteps, make_stepper, obstacle

NET = MLP((5, 11, 3), R=7)
CONV = ConvNet((2, 5, 7), 3, R=7)
LABELS = np.arange(61) % 3


@pytest.mark.parametrize(
    ("net", "options", "targets", "reason"),
    [
        (NET, {"engine": "reference"}, LABELS, "the engine is 'reference'"),
        (ConvNet((1, 2), 3, R=2, nested=(False, False)), {}, LABELS, "the network is no convolutional net with a"),
        (ConvNet((1, 2, 2), 3, R=2, activation="silu"), {}, LABELS, "the activation is 'silu'"),
        (MLP((5, 11, 3), R=7, nested=(False, False)), {}, LABELS, "the network is no multilayer perceptron with"),
        (MLP((5, 11, 3), R=7, activation="gelu"), {}, LABELS, "the activation is 'gelu'"),
        (NET, {"loss": "mean_squared_error"}, LABELS, "the loss is not the cross-entropy of labels"),
        (NET, {}, np.ones((61, 3)) / 3, "the loss is not the cross-entropy of labels"),
        (NET, {"objective": "gradnorm"}, LABELS, "the weights of 'gradnorm' depend on the losses"),
        (NET, {"regularisers": {"logits": 1.0}}, LABELS, "there are regularisers"),
    ],
)
def test_what_stands_in_the_way_is_named(net, options, targets, reason):
    config = TrainConfig(steps=3, **options)
    assert obstacle(net, config, targets).startswith(reason)
    stepper = make_stepper(net, config, start(net, config), 3, load_engine(config.engine), targets, (8, 5))
    assert isinstance(stepper, OperationSteps)


def test_without_a_gemm_the_operations_step(monkeypatch):
    def none():
        raise NSNError("numpy_blas: no BLAS with gemm among the libraries that NumPy has loaded")

    monkeypatch.delenv(blas.VARIABLE, raising=False)
    monkeypatch.setattr(blas, "numpy_blas", none)
    assert obstacle(NET, TrainConfig(steps=3), LABELS).startswith("numpy_blas: no BLAS")


@pytest.mark.parametrize(("net", "row"), [(NET, (5,)), (CONV, (2, 6, 4))], ids=["perceptron", "convolutional"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"objective": "bounded", "curriculum": "all", "clip": 0.5, "schedule": "constant"},
        {"objective": "sum", "optimizer": "sgd", "warmup_steps": 3, "anchor": 5, "lr_s": 0.0},
    ],
)
def test_both_ways_take_the_same_steps(rng, options, net, row):
    """In float64, so that what differs is the rounding of twelve steps."""
    config = TrainConfig(steps=12, batch_size=16, lr=0.01, dtype="float64", **options)
    x, states, records = rng.standard_normal((61, *row)), [], []
    for kind in (CompiledSteps, OperationSteps):
        last = (16, *row) if kind is CompiledSteps else load_engine("numba")
        stepper = kind(net, config, start(net, config), 12, last)
        assert list(run_steps(net, (x, LABELS), config, stepper)) == list(range(1, 13))
        states.append({name: a.copy() for name, a in stepper.state.arrays().items()})
        records.append(stepper.last)
        stepper.close()
    assert states[0].keys() == states[1].keys()
    for name, array in states[0].items():
        np.testing.assert_allclose(array, states[1][name], rtol=1e-6, atol=1e-11)
    assert records[0].ranks == records[1].ranks and records[0].lr == records[1].lr
    np.testing.assert_allclose(records[0].losses, records[1].losses, rtol=1e-10)
    assert records[0].grad_norm == pytest.approx(records[1].grad_norm, rel=1e-10)
