"""The loop: it learns, records, resumes to the same bits, and refuses what it should."""

import itertools
import json

import numpy as np
import pytest

from nsn_ref.errors import (
    DataError,
    DivergedError,
    DTypeError,
    FileError,
    LabelError,
    NonFiniteError,
    OptionError,
    ShapeError,
)
from nsn_ref.nets.convnet import ConvNet
from nsn_ref.nets.mlp import MLP
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.held_out import load_held_out
from nsn_ref.training.loop import train
from nsn_ref.training.metrics import MetricsLog
from nsn_ref.training.run import load_run

NET = MLP((5, 11, 3), R=7)


def blobs(rng, n=61):
    """Three classes around three centres."""
    targets = np.arange(n) % 3
    return rng.standard_normal((n, 5)) + 4 * np.eye(5)[targets], targets


def equal(a, b):
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


class StopError(Exception):
    pass


def stop_at(step, error=StopError):
    def callback(record, params):
        if record["step"] == step:
            raise error

    return callback


@pytest.mark.parametrize("engine", ["reference", "numba"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_it_learns_at_every_rank(rng, engine, optimizer):
    x, targets = blobs(rng, 300)
    lr = 0.01 if optimizer == "adamw" else 0.003
    config = TrainConfig(epochs=20, batch_size=16, lr=lr, optimizer=optimizer, engine=engine, curriculum="all")
    run = train(NET, (x, targets), config, progress=False)
    for rank in range(2, 8):
        logits, _ = run.net.forward(run.params, x.astype(np.float32), rank)
        assert (logits.argmax(axis=1) == targets).mean() > 0.95
    assert run.steps == len(run.metrics) == 20 * 19


def pictures(rng):
    """Images and labels: which half is brighter."""
    labels = rng.integers(0, 2, 120)
    x = rng.standard_normal((120, 1, 4, 6))
    x[np.arange(120), 0, :2] += 2 * labels[:, None, None]
    return x, labels


@pytest.mark.parametrize(("net", "data"), [(NET, blobs), (ConvNet((1, 3, 5), 2, R=7), pictures)])
def test_engines_take_the_same_steps(net, data):
    runs = [
        train(net, data(np.random.default_rng(3)), TrainConfig(steps=30, engine=engine), progress=False)
        for engine in ("reference", "numba")
    ]
    assert [m["ranks"] for m in runs[0].metrics] == [m["ranks"] for m in runs[1].metrics]
    for name, value in runs[0].params.items():
        assert runs[1].params[name] == pytest.approx(value, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("error", [StopError, KeyboardInterrupt])
@pytest.mark.parametrize("stops", [(1,), (4,), (5,), (9,), (2, 7, 11)])
@pytest.mark.parametrize(
    "options",
    [
        {"engine": "numba"},
        {"engine": "reference", "optimizer": "sgd", "objective": "gradnorm", "curriculum": "log_uniform", "clip": 0.5},
    ],
)
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(rng, tmp_path, options, stops, error):
    """Stopped at any step: the loop goes back to its last checkpoint and repeats what came after."""
    data = blobs(rng)
    config = TrainConfig(steps=13, batch_size=9, checkpoint_every=5, log_s_every=3, lr=0.01, **options)
    whole = train(NET, data, config, progress=False)
    for stop in stops:
        with pytest.raises(error):
            train(NET, data, config, out=tmp_path, resume=True, progress=False, callback=stop_at(stop, error))
    resumed = train(NET, data, config, out=tmp_path, resume=True, progress=False)
    assert equal(whole.params, resumed.params)
    without_time = [[{k: v for k, v in m.items() if k != "seconds"} for m in run.metrics] for run in (whole, resumed)]
    assert without_time[0] == without_time[1]
    loaded = load_run(tmp_path)
    assert equal(loaded.params, whole.params) and loaded.metrics == resumed.metrics
    assert (loaded.net, loaded.config, loaded.steps) == (NET, config, 13)


def test_an_interrupt_keeps_the_step_it_came_after(rng, tmp_path):
    data, config = blobs(rng), TrainConfig(steps=13, checkpoint_every=100)
    with pytest.raises(KeyboardInterrupt):
        train(NET, data, config, out=tmp_path, progress=False, callback=stop_at(6, KeyboardInterrupt))
    assert len(load_run(tmp_path).metrics) == 6


def test_an_interrupt_before_the_record_leaves_the_checkpoint_alone(rng, tmp_path, monkeypatch):
    """The step is done, its line is not written: a checkpoint of that step would miss the line."""
    data, config = blobs(rng), TrainConfig(steps=9, checkpoint_every=4)
    append = MetricsLog.append

    def interrupted(log, record):
        if record["step"] == 7:
            raise KeyboardInterrupt
        append(log, record)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MetricsLog, "append", interrupted)
        train(NET, data, config, out=tmp_path, progress=False)
    assert len(load_run(tmp_path).metrics) == 4
    resumed = train(NET, data, config, out=tmp_path, resume=True, progress=False)
    assert equal(resumed.params, train(NET, data, config, progress=False).params)


def test_a_finished_run_resumes_to_itself(rng, tmp_path):
    data, config = blobs(rng), TrainConfig(steps=4)
    first = train(NET, data, config, out=tmp_path, progress=False)
    assert equal(train(NET, data, config, out=tmp_path, resume=True, progress=False).params, first.params)


def test_a_convnet_trains_and_resumes(rng, tmp_path):
    net = ConvNet((1, 3, 5), 2, R=4)
    x, targets = rng.standard_normal((20, 1, 4, 6)), np.arange(20) % 2
    config = TrainConfig(steps=6, engine="reference", checkpoint_every=2)
    whole = train(net, (x, targets), config, progress=False)
    with pytest.raises(StopError):
        train(net, (x, targets), config, out=tmp_path, progress=False, callback=stop_at(3))
    assert equal(train(net, (x, targets), config, out=tmp_path, resume=True, progress=False).params, whole.params)


def test_what_numpy_counts_in_resumes(rng, tmp_path):
    """Options may be NumPy's numbers and lists: the run that is written is the run that is resumed."""
    net = MLP([5, np.int64(11), 3], R=np.int64(7))
    config = TrainConfig(steps=np.int64(4), lr=np.float32(0.25), variants=[1, 4], objective="sum", seed=np.uint8(2))
    data = blobs(rng)
    run = train(net, data, config, out=tmp_path, progress=False)
    assert equal(train(net, data, config, out=tmp_path, resume=True, progress=False).params, run.params)
    loaded = load_run(tmp_path)
    assert (loaded.net, loaded.config) == (net, config) == (MLP((5, 11, 3), R=7), loaded.config)


def test_held_out_rows_are_kept_in_the_dtype_of_the_run(rng, tmp_path):
    (x, targets), (held_x, labels) = blobs(rng), blobs(rng, 7)
    train(NET, (x, targets), TrainConfig(steps=2), out=tmp_path, held_out=(held_x, labels), progress=False)
    found_x, found_labels = load_held_out(tmp_path)
    assert found_x.dtype == np.float32 and (found_x == held_x.astype(np.float32)).all()
    assert (found_labels == labels).all()


def test_a_loss_of_zero_has_no_weight(rng, tmp_path):
    """Its inverse would be infinite: training ends as it does wherever a number is not finite."""
    x, targets = np.zeros((9, 5)), np.zeros((9, 3))
    for kind in ("analytic", "softmax", "gradnorm"):
        config = TrainConfig(steps=2, loss="mean_squared_error", objective=kind)
        with pytest.raises(DivergedError, match=rf"diverged at step 1: weigh: losses .*'{kind}' divides by them"):
            train(NET, (x, targets), config, progress=False)


def test_what_a_kill_left_is_removed(rng, tmp_path):
    data, config = blobs(rng), TrainConfig(steps=4)
    train(NET, data, config, out=tmp_path, progress=False)
    (tmp_path / ".metrics.jsonl.abc.part").write_text("half a li")
    train(NET, data, config, out=tmp_path, resume=True, progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint-00000004.safetensors", "checkpoint.json", "metrics.jsonl",
    ]  # fmt: skip


def test_regression_trains(rng):
    x, targets = rng.standard_normal((40, 5)), rng.standard_normal((40, 3))
    run = train(NET, (x, targets), TrainConfig(steps=60, loss="mean_squared_error", lr=0.01), progress=False)
    assert run.metrics[-1]["losses"][0] < 0.5 * run.metrics[0]["losses"][0]


def test_metrics_say_what_happened(rng, tmp_path):
    config = TrainConfig(steps=7, batch_size=20, log_s_every=3, lr=0.5, warmup_steps=2, schedule="constant")
    run = train(NET, blobs(rng), config, out=tmp_path, progress=False)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == run.metrics and [m["step"] for m in lines] == list(range(1, 8))
    assert [m["lr"] for m in lines] == [0.25] + [0.5] * 6
    assert [m["step"] for m in lines if "s" in m] == [3, 6, 7] and len(lines[2]["s"]) == 7
    assert all(m["ranks"][0] == 7 and 1 <= m["ranks"][1] <= 6 and len(m["losses"]) == 2 for m in lines)
    assert all(a["seconds"] <= b["seconds"] for a, b in itertools.pairwise(lines))
    facts = json.loads((tmp_path / "checkpoint.json").read_text())
    assert {"numpy", "python", "nsn_ref"} <= facts["environment"]["versions"].keys()
    assert all(pool["num_threads"] >= 1 for pool in facts["environment"]["blas"])


@pytest.mark.parametrize("engine", ["reference", "numba"])
def test_divergence_is_named_and_the_checkpoint_kept(rng, tmp_path, engine):
    config = TrainConfig(steps=50, lr=1e30, optimizer="sgd", schedule="constant", engine=engine, checkpoint_every=1)
    with pytest.raises(DivergedError, match=r"train: diverged at step \d+: .*keeps the last checkpoint"):
        train(NET, blobs(rng), config, out=tmp_path, progress=False)
    run = load_run(tmp_path)
    assert 1 <= len(run.metrics) < 50


def test_seeds_change_everything(rng):
    data = blobs(rng)
    a, b, c = (train(NET, data, TrainConfig(steps=8, seed=seed), progress=False) for seed in (1, 1, 2))
    assert equal(a.params, b.params) and not equal(a.params, c.params)
    assert len({m["ranks"][1] for m in a.metrics}) > 2
    assert [m["ranks"] for m in a.metrics] == [m["ranks"] for m in b.metrics] != [m["ranks"] for m in c.metrics]


def test_bad_data_is_refused_before_anything_is_written(rng, tmp_path):
    x, targets = blobs(rng)
    cases = [
        (x[:, :4], targets, ShapeError, r"train: x has shape \(61, 4\), expected \(\.\.\., 5\)"),
        (x[:0], targets[:0], DataError, r"x has 0 rows and targets 0"),
        (x[:9], targets, DataError, r"x has 9 rows and targets 61"),
        (np.where(x > 4, np.nan, x), targets, NonFiniteError, r"train: x has NaN"),
        (x * 1e300, targets, NonFiniteError, r"train: x has NaN or infinity"),  # finite, but not in float32
        (x, targets + 1, LabelError, r"train: targets has the label 3, expected integers in 0\.\.2"),
        (x, targets - 1, LabelError, r"the label -1"),
        (x, targets[:, None], ShapeError, r"train: targets has shape \(61, 1\), expected \(61,\)"),
        (x, targets + 0.5, ShapeError, r"dtype float64 and shape \(61,\), expected integers \(61,\)"),
        (x, np.array(1), DataError, r"x has 61 rows and targets 0"),
        (np.ma.masked_greater(x, 1), targets, DTypeError, r"x is a MaskedArray"),
        (x.astype(int), targets, DTypeError, r"x has dtype int64"),
        (x + 0j, targets, DTypeError, r"x has dtype complex128, expected an ndarray of float32 or float64"),
        (x.tolist(), targets, DTypeError, r"x has type list"),
        (x, targets.tolist(), DTypeError, r"targets is a list"),
    ]
    for bad_x, bad_targets, error, message in cases:
        with pytest.raises(error, match=message):
            train(NET, (bad_x, bad_targets), TrainConfig(steps=2), out=tmp_path / "run", progress=False)
        with pytest.raises(error, match=message):
            bad = bad_x, bad_targets
            train(NET, (x, targets), TrainConfig(steps=2), out=tmp_path / "run", held_out=bad, progress=False)
    for bad, message in ((x, "data is a ndarray"), ((x, targets, x), "data is a tuple"), (None, "data is a NoneType")):
        with pytest.raises(DataError, match=rf"train: {message}, expected a pair \(x, targets\)"):
            train(NET, bad, TrainConfig(steps=2), out=tmp_path / "run", progress=False)
    images, net = rng.standard_normal((9, 1, 6, 4)), ConvNet((1, 3, 3, 3), 2, R=2)
    with pytest.raises(ShapeError, match=r"x has shape \(9, 1, 6, 4\), expected H and W divisible by 4"):
        config = TrainConfig(steps=2, engine="reference")
        train(net, (images, np.arange(9) % 2), config, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_bad_options_are_refused_before_anything_is_written(rng, tmp_path):
    data = blobs(rng)
    for config, message in (
        (TrainConfig(steps=2, warmup_steps=3), r"train: warmup_steps is 3, expected at most the 2 steps"),
        (TrainConfig(steps=2, anchor=8), r"anchor is 8, expected an integer in 1\.\.7"),
        (TrainConfig(steps=2, variants=(9,)), r"ranks\[0\] is 9"),
        (TrainConfig.from_json({"steps": 2, "objective": {"kind": "fixed", "weights": [1.0]}}), r"has 1 weights"),
    ):
        with pytest.raises((OptionError, ValueError), match=message):
            train(NET, data, config, out=tmp_path / "run", progress=False)
    headless = MLP((5, 3), R=7, nested=(True,))
    for net, config, options, message in (
        (headless, TrainConfig(steps=2, objective="gradnorm"), {}, "gradnorm', expected a network with a layer after"),
        ("MLP", TrainConfig(steps=2), {}, "net is 'MLP', expected an MLP, a ConvNet or a Decoder"),
        (NET, {"steps": 2}, {}, "config is {'steps': 2}, expected a TrainConfig"),
        (NET, TrainConfig(steps=2), {"out": None, "resume": True}, "out is None, expected a folder"),
        (NET, TrainConfig(steps=2), {"out": None, "held_out": data}, "out is None, expected a folder"),
    ):
        with pytest.raises(OptionError, match=message):
            train(net, data, config, **{"out": tmp_path / "run", "progress": False} | options)
    assert not (tmp_path / "run").exists()


def test_a_run_is_neither_overwritten_nor_mixed_with_another(rng, tmp_path):
    data, config = blobs(rng), TrainConfig(steps=3)
    train(NET, data, config, out=tmp_path, progress=False)
    with pytest.raises(OptionError, match=r"train: out is .*, which holds a run"):
        train(NET, data, config, out=tmp_path, progress=False)
    for net, other_data, other, message in (
        (MLP((5, 11, 3), R=6), data, config, r"train: net is MLP\(.*R=6.*, expected MLP\(.*R=7"),
        (NET, data, TrainConfig(steps=3, lr=0.5), r"train: config.lr is 0.5, expected 0.001"),
        (NET, (data[0] + 1, data[1]), config, r"train: data is '[0-9a-f]{64}'"),
    ):
        with pytest.raises(OptionError, match=message):
            train(net, other_data, other, out=tmp_path, resume=True, progress=False)
    with pytest.raises(FileError, match=r"cannot be made"):
        train(NET, data, config, out=tmp_path / "checkpoint.json" / "run", progress=False)


def test_another_environment_is_pointed_out(rng, tmp_path):
    data, config = blobs(rng), TrainConfig(steps=3)
    train(NET, data, config, out=tmp_path, progress=False)
    head = tmp_path / "checkpoint.json"
    head.write_text(head.read_text().replace('"num_threads": ', '"num_threads": 9'))
    with pytest.warns(UserWarning, match="bits may differ"):
        train(NET, data, config, out=tmp_path, resume=True, progress=False)
