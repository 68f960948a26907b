"""The arithmetic of a training is that of its rows and ranks."""

import numpy as np

from nsn_ref.experiments.comparators.fit import fit
from nsn_ref.experiments.digits import ALONE, NESTED
from nsn_ref.training.loop import train


def test_training_is_counted_by_rows_and_ranks(setting, rows):
    net = setting.nested(5)
    run = train(
        net, (rows.x_train, rows.y_train), setting.config(rows, 1, variants=(1, 3), **NESTED), progress=False
    )  # fmt: skip
    params, training = fit(net, rows, setting, 1, variants=(1, 3), **NESTED)
    assert all((params[name] == p).all() for name, p in run.params.items())
    expected = 0
    for record, count in zip(run.metrics, [64, 16] * 3, strict=True):
        for rank in record["ranks"]:
            expected += count * 3 * (rank * (7 + 13) + rank * (13 + 11) + 11 * 3)
    assert training == expected


def test_targets_replace_the_labels(setting, rows):
    targets = np.eye(3, dtype=np.float32)[rows.y_train][:, [1, 2, 0]]
    options = {"targets": targets, "loss": "mean_squared_error"} | ALONE
    params, _ = fit(setting.dense(8), rows, setting, 0, **options)
    expected, _ = fit(setting.dense(8), rows, setting, 0, **ALONE)
    assert any((params[name] != p).any() for name, p in expected.items())
