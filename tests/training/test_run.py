"""Runs on disk: networks go through JSON, and damage is named."""

import json
import subprocess
import sys

import numpy as np
import pytest

from nsn_ref.errors import FileError, OptionError
from nsn_ref.nets.convnet import ConvNet
from nsn_ref.nets.mlp import MLP
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.loop import train
from nsn_ref.training.run import load_run, net_from_json, net_to_json


@pytest.mark.parametrize(
    "net",
    [
        MLP((3, 5, 2), R=7),
        MLP((3, 5, 2), R=7, nested=(False, True), activation="silu", cap=True),
        ConvNet((1, 3, 5), 2, R=4, kernel=5, activation="gelu"),
    ],
)
def test_json_gives_the_network_back(net):
    assert net_from_json(json.loads(json.dumps(net_to_json(net)))) == net


def test_unknown_networks_are_refused():
    with pytest.raises(OptionError, match=r"net_from_json: type is 'RNN', expected one of 'MLP', 'ConvNet'"):
        net_from_json({"type": "RNN"})


def test_damage_is_named(rng, tmp_path):
    x, targets = rng.standard_normal((9, 3)), np.arange(9) % 2
    train(MLP((3, 5, 2), R=7), (x, targets), TrainConfig(steps=4), out=tmp_path, progress=False)
    assert len(load_run(tmp_path).metrics) == 4
    head, metrics = tmp_path / "checkpoint.json", tmp_path / "metrics.jsonl"
    facts, lines = json.loads(head.read_text()), metrics.read_text()
    for key, value in (
        ("net", facts["net"] | {"R": 8}),
        ("net", facts["net"] | {"colour": 1}),
        ("net", None),
        ("config", facts["config"] | {"lr": -1}),
        ("config", []),
        ("step", 5),
        ("steps", None),
    ):
        head.write_text(json.dumps(facts | {key: value}))
        with pytest.raises(FileError, match=r"the checkpoint does not describe a run"):
            load_run(tmp_path)
    for key in ("steps", "net", "config", "data_sha256", "environment"):
        head.write_text(json.dumps({name: value for name, value in facts.items() if name != key}))
        with pytest.raises(FileError, match=f"it has no '{key}'"):
            load_run(tmp_path)
    head.write_text(json.dumps(facts))
    for damaged in ("", lines[: len(lines) // 2], lines.replace('"step": 2', '"step": 3'), "[]\n" * 4):
        metrics.write_text(damaged)
        with pytest.raises(FileError, match=r"metrics\.jsonl: line \d is missing or damaged"):
            load_run(tmp_path)
    metrics.unlink()
    with pytest.raises(FileError, match=r"metrics\.jsonl: cannot be read"):
        load_run(tmp_path)
    with pytest.raises(FileError, match=r"checkpoint\.json: cannot be read: No such file"):
        load_run(tmp_path / "nowhere")


def test_the_environment_does_not_depend_on_what_else_is_loaded():
    """SciPy brings a BLAS of its own when an activation first needs it."""
    code = "from nsn_ref.training.run import environment as e; a = e(); import scipy.linalg; print(e() == a)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "True"
