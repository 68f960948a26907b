"""What the live page says of its model is so: standardisation, accuracy at every rank, scans that were held out."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from nsn_ref import MLP
from nsn_ref.experiments import digits_data

pytest.importorskip("sklearn", reason="needs the extra 'experiments'")
LIVE = Path(__file__).parents[2] / "docs" / "live"


def test_the_facts_of_the_live_page():
    model = json.loads((LIVE / "model.json").read_text())
    params = {**load_file(LIVE / "model.safetensors"), "s": np.zeros(model["R"], np.float32)}
    x, labels = digits_data.load_scans()
    held_out = digits_data.stratified_folds(labels, 5, np.random.default_rng(0))[0]
    scans = digits_data.split(x, labels, held_out)
    standard = ((x[held_out] - np.array(model["mean"])) / model["scale"]).astype(np.float32)
    assert np.array_equal(standard, scans.x_test)
    assert model["held_out"] == len(held_out)

    net = MLP(tuple(map(int, model["widths"].split("-"))), model["R"])
    for row in model["ranks"]:
        z, _ = net.forward(params, scans.x_test, row["rank"])
        right = int((z.argmax(axis=1) == scans.y_test).sum())
        assert right == round(row["accuracy"] * len(held_out))

    scans_held_out = {(*x[i].astype(int), labels[i]) for i in held_out}
    for example in model["examples"]:
        assert (*(int(c, 17) for c in example["counts"]), example["label"]) in scans_held_out
