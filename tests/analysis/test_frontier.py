"""The frontier against one forward pass written out."""

import json
import math

import numpy as np
import pytest

from nsn_ref import MLP, ConvNet, TrainConfig, train
from nsn_ref.analysis import frontier_files
from nsn_ref.analysis.frontier import energies, frontier, log_variances, trained_ranks
from nsn_ref.errors import FileError, OptionError
from nsn_ref.training.held_out import save_held_out


@pytest.fixture
def trained(rng):
    """A small finished run with its held-out rows."""
    x, labels = rng.standard_normal((40, 5)), rng.integers(0, 3, 40)
    config = TrainConfig(steps=25, batch_size=8, engine="reference", variants=(2, 4), dtype="float64")
    return train(MLP((5, 7, 3), 6), (x, labels), config, progress=False), x, labels


def by_hand(params, x, rank):
    """Logits of a 5-7-3 network with a nested first layer."""
    W = sum(np.outer(params["layers.0.B"][:, i], params["layers.0.A"][i]) for i in range(rank))
    return np.maximum(x @ W.T + params["layers.0.b"], 0) @ params["layers.1.W"].T + params["layers.1.b"]


def test_accuracy_loss_and_cost_of_every_rank(trained):
    run, x, labels = trained
    rows = frontier(run.net, run.params, x, labels, trained=trained_ranks(run.metrics))
    assert [row.rank for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row.rank for row in rows if row.trained] == [2, 4, 6]
    assert len({row.accuracy for row in rows}) > 1
    for row in rows:
        z = by_hand(run.params, x, row.rank)
        right = [int(np.argmax(z_i) == label) for z_i, label in zip(z, labels, strict=True)]
        losses = [math.log(sum(np.exp(z_i - z_i[label]))) for z_i, label in zip(z, labels, strict=True)]
        assert row.accuracy == sum(right) / 40
        assert row.loss == pytest.approx(sum(losses) / 40, rel=1e-12)
        assert row.flops == 2 * (row.rank * (5 + 7) + 7 * 3)
        assert row.dense_share == row.flops / (2 * (5 * 7 + 7 * 3))
        assert row.s == run.params["s"][row.rank - 1]


def test_energies_are_products_of_norms(rng):
    net = ConvNet((2, 3), 2, 4, nested=(True, True))
    params = net.init(rng, np.float64)
    found = energies(net, params)
    assert list(found) == ["layers.0", "layers.1"]
    for key, values in found.items():
        A, B = params[f"{key}.A"], params[f"{key}.B"]
        by_component = [math.sqrt((A[i] ** 2).sum()) * math.sqrt((B[:, i] ** 2).sum()) for i in range(4)]
        np.testing.assert_allclose(values, by_component, rtol=1e-14)


def test_log_variances_are_those_recorded(trained):
    run, *_ = trained
    steps, s = log_variances(run)
    assert steps.tolist() == [10, 20, 25]
    assert s.shape == (3, 6) and (s[-1] == run.params["s"]).all()
    assert trained_ranks([{"ranks": [6, 2]}, {"ranks": [[3, 5]]}]) == {2, 5, 6}


def test_a_run_stopped_before_its_first_record_of_log_variances(trained):
    run, *_ = trained
    steps, s = log_variances(run._replace(metrics=run.metrics[:3]))
    assert steps.tolist() == [3] and (s == run.params["s"]).all()


def png_size(path):
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def test_files(trained, tmp_path):
    run, x, labels = trained
    save_held_out(tmp_path, x, labels)
    report = frontier_files.evaluate(run, tmp_path)
    paths = frontier_files.write(report, tmp_path / "new", title="a title")
    assert [path.name for path in paths] == [
        "frontier.csv", "frontier.json", "frontier.png", "log_variances.png", "energies.png",
    ]  # fmt: skip
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(path.name for path in paths)
    lines = paths[0].read_text().splitlines()
    assert lines[0] == "rank,trained,accuracy,loss,flops,dense_share,s" and len(lines) == 7
    assert float(lines[2].split(",")[2]) == report.rows[1].accuracy
    content = json.loads(paths[1].read_text())
    assert [row["rank"] for row in content["rows"]] == [1, 2, 3, 4, 5, 6]
    assert content["log_variances"]["steps"] == [10, 20, 25] and len(content["energies"]["layers.0"]) == 6
    assert all(min(png_size(path)) > 300 for path in paths[2:])


def test_what_cannot_be_evaluated(trained, tmp_path, rng):
    run, x, labels = trained
    with pytest.raises(FileError, match=r"held_out.safetensors: is missing, expected the rows"):
        frontier_files.evaluate(run, tmp_path)
    with pytest.raises(OptionError, match="has taken 0 of its 25 steps"):
        frontier_files.evaluate(run._replace(metrics=[]), tmp_path)
    regression = TrainConfig(loss="mean_squared_error")
    with pytest.raises(OptionError, match="was trained for 'mean_squared_error'"):
        frontier_files.evaluate(run._replace(config=regression), tmp_path)
    save_held_out(tmp_path, x, labels)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be made"):
        frontier_files.write(frontier_files.evaluate(run, tmp_path), tmp_path / "file", title="a title")
