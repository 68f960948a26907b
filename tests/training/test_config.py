"""TrainConfig: every option is checked, and survives the way through JSON."""

import json
import math

import pytest

from nsn_ref.errors import OptionError, RankError
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.weighting import Objective

BAD = {
    "epochs": (0, -1, 1.5, True),
    "steps": (0, "10"),
    "batch_size": (0, 2.0),
    "optimizer": ("adam", None),
    "lr": (0, -1.0, math.nan, math.inf, "1e-3"),
    "lr_s": (-1.0, math.nan),
    "schedule": ("linear",),
    "warmup_steps": (-1, 1.5),
    "weight_decay": (-0.1, math.nan),
    "clip": (0.0, -1, math.nan),
    "beta1": (1.0, -0.1, math.nan),
    "beta2": (1.0, 2),
    "eps": (0.0, -1e-8),
    "momentum": (1.0, -0.1),
    "curriculum": ("random",),
    "anchor": (0, 1.0),
    "loss": ("hinge",),
    "objective": ("mean", 3),
    "regularisers": ({"l2": 1.0}, {"logits": -1.0}, {"hidden": math.nan}),
    "stop_anchor": ("yes",),
    "initialisation": ("zeros",),
    "seed": (-1, 0.5),
    "dtype": ("float16", "complex128"),
    "engine": ("torch",),
    "checkpoint_every": (0,),
    "log_s_every": (0,),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options_are_named(name):
    for value in BAD[name]:
        with pytest.raises(OptionError, match=r"kind is|weights" if value == "mean" else name):
            TrainConfig(**{name: value})


def test_every_option_has_a_bad_value_above():
    assert TrainConfig.__dataclass_fields__.keys() - BAD.keys() == {"variants"}  # checked beside the network's R


def test_length_is_epochs_or_steps():
    with pytest.raises(OptionError, match=r"epochs is 3 and steps 5, expected one of them"):
        TrainConfig(epochs=3, steps=5)
    assert TrainConfig().total_steps(7) == 700
    assert TrainConfig(epochs=3).total_steps(7) == 21
    assert TrainConfig(steps=5).total_steps(7) == 5


def test_trained_ranks():
    assert TrainConfig().trained_ranks(5) == (5, (1, 2, 3, 4))
    assert TrainConfig(anchor=3, variants=(1, 2, 4)).trained_ranks(5) == (3, (1, 2))
    with pytest.raises(RankError, match=r"anchor is 6, expected an integer in 1\.\.5"):
        TrainConfig(anchor=6).trained_ranks(5)


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(),
        TrainConfig(
            steps=5,
            variants=(1, 2, 4),
            objective=Objective("fixed", (0.1, 1 / 3)),
            regularisers={"hidden": 0.3},
            clip=1.0,
        ),
    ],
)
def test_json_gives_the_config_back(config):
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_unknown_options_in_a_file_are_refused():
    with pytest.raises(OptionError, match=r"TrainConfig: has 'learning_rate', expected only"):
        TrainConfig.from_json({"learning_rate": 1.0})
