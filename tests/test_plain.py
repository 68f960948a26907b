"""Options lose NumPy's types when they are made, so that JSON takes them and gives them back."""

import json

import numpy as np
import pytest

from nsn_ref import MLP, ConvNet, Objective, TrainConfig
from nsn_ref.plain import plain
from nsn_ref.training.run import net_from_json, net_to_json


def test_numbers_arrays_and_lists():
    found = plain({"a": np.int64(3), "b": np.float32(0.5), "c": [np.True_, (1, [2])], "d": np.arange(2), "e": "x"})
    assert found == {"a": 3, "b": 0.5, "c": (True, (1, (2,))), "d": (0, 1), "e": "x"}
    assert [type(found["a"]), type(found["b"]), type(found["c"][0]), type(found["d"][0])] == [int, float, bool, int]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (MLP([5, np.int64(7), 3], np.int32(4), nested=[True, np.bool_(False)]), MLP((5, 7, 3), 4, (True, False))),
        (ConvNet([1, 3], 2, np.int64(4), cap=np.bool_(True)), ConvNet((1, 3), 2, 4, cap=True)),
    ],
)
def test_networks(given, expected):
    assert given == expected and hash(given) == hash(expected)
    assert net_from_json(json.loads(json.dumps(net_to_json(given)))) == given


def test_configs():
    given = TrainConfig(
        steps=np.int64(5), lr=np.float64(0.1), seed=np.uint8(3), variants=np.array([1, 2]),
        objective=Objective("fixed", np.ones(3)), regularisers={"hidden": np.float32(0.5)},
    )  # fmt: skip
    expected = TrainConfig(
        steps=5, lr=0.1, seed=3, variants=(1, 2), objective=Objective("fixed", (1, 1, 1)), regularisers={"hidden": 0.5}
    )
    assert given == expected
    assert TrainConfig.from_json(json.loads(json.dumps(given.to_json()))) == given
