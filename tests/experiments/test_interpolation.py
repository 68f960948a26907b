"""The table of a run against its parts, and the command that prints it."""

import subprocess
import sys

import numpy as np
import pytest

from nsn_ref import MLP, ops
from nsn_ref.analysis.interpolation import CHANGES, interpolation_bound
from nsn_ref.experiments.interpolation import looseness, table
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.loop import train


@pytest.fixture
def scans(rng):
    labels = np.arange(60) % 3
    return rng.standard_normal((60, 5)) + 3 * np.eye(5)[labels], labels


def test_rows_are_the_definitions(rng, scans):
    x, labels = scans
    net = MLP((5, 7, 3), R=4)
    params = net.init(rng, np.float64)
    (row,) = looseness(net, params, x, labels, [2])
    top, low = (net.forward(params, x, rank)[0] for rank in (4, 2))
    change = np.linalg.norm(top - low, axis=1)
    assert row.rank == 2 and row.logits == change.mean()
    for ratio, kind in zip(row.ratios, CHANGES, strict=True):
        assert ratio == np.median(interpolation_bound(net, params, x, 4, 2, change=kind) / change) >= 1
    losses = [ops.softmax_cross_entropy_forward(z, labels)[0] for z in (top, low)]
    assert row.loss == abs(losses[0] - losses[1]) <= row.loss_bound


def test_the_command_prints_the_table_of_a_run(tmp_path, scans):
    config = TrainConfig(epochs=2, batch_size=20, lr=0.02)
    run = train(MLP((5, 7, 3), R=6), scans, config, out=tmp_path / "run", held_out=scans, progress=False)
    command = [sys.executable, "-m", "nsn_ref.experiments.interpolation", str(tmp_path / "run")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    params = {name: value.astype(np.float64) for name, value in run.params.items()}
    assert printed == table(looseness(run.net, params, *scans, [5, 4, 3, 1])) + "\n"
