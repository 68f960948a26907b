"""Layers by pattern, components by rule."""

import numpy as np
import pytest

from nsn_ref.errors import OptionError, RankError
from nsn_ref.nets.decoder import DecoderConfig
from nsn_ref.surgery.choice import RankRule, choose_layers, components, nested_config, rank_for_energy, rank_rule

CONFIG = DecoderConfig(vocabulary=29, hidden=12, intermediate=17, blocks=2, heads=3, kv_heads=1, context=7)


def test_layers_by_name_and_pattern():
    mlp = tuple(f"blocks.{i}.mlp.{name}" for i in range(2) for name in ("up", "down"))
    attention = tuple(f"blocks.{i}.attention.{name}" for i in range(2) for name in "qkvo")
    assert choose_layers(CONFIG) == choose_layers(CONFIG, "mlp") == mlp
    assert choose_layers(CONFIG, "attention") == attention
    assert choose_layers(CONFIG, "all") == tuple(CONFIG.linear_layers)
    assert choose_layers(CONFIG, "all")[-1] == "head"
    assert choose_layers(CONFIG, "blocks.1.*.[qv]") == ("blocks.1.attention.q", "blocks.1.attention.v")
    assert choose_layers(CONFIG, "mlp,attention,mlp") == tuple(CONFIG.linear_layers)[:-1]
    with pytest.raises(OptionError, match=r"layers has 'blocks\.7\.\*', which names none; expected 'mlp', 'attention'"):
        choose_layers(CONFIG, "mlp,blocks.7.*")


def test_rules():
    assert rank_rule("full") == RankRule("full")
    assert rank_rule("64") == rank_rule(64) == RankRule("rank", 64)
    assert rank_rule("0.5x") == rank_rule(".5x") == RankRule("share", 0.5)
    assert rank_rule("energy=0.95") == RankRule("energy", 0.95)
    for bad in ("0", "-3", "3.5", "0x", "energy=1.5", "energy=0", "nan", "", "half", "1e3x"):
        with pytest.raises(OptionError, match=r"rank_rule: got .* expected 'full', a rank such as '64'"):
            rank_rule(bad)


@pytest.mark.parametrize(
    "rule, expected",
    [("full", 12), ("5", 5), ("1x", 7), ("0.5x", 3), ("0.01x", 1), ("9x", 12), ("energy=1", 12), ("energy=0.5", 1)],
)
def test_components(rule, expected):
    """Break-even of 12 to 17 is 204 / 29 = 7.03."""
    spectrum = np.array([10.0] + [1.0] * 11)
    assert components(rank_rule(rule), "up", 12, 17, lambda: spectrum) == expected


def test_a_rank_above_the_widths_names_the_layer():
    with pytest.raises(
        RankError, match=r"adapt: the rank of blocks\.0\.attention\.k is 5, expected an integer in 1\.\.4"
    ):
        nested_config(CONFIG, "attention", 5)


def test_energy():
    """Of 16 + 4 + 4 + 1 + 0, ranks 1 to 4 have 0.64, 0.8, 0.96 and 1."""
    s = np.array([4.0, 2.0, 2.0, 1.0, 0.0])
    for energy, rank in ((0.01, 1), (0.64, 1), (0.65, 2), (0.79, 2), (0.81, 3), (0.95, 3), (0.97, 4), (1.0, 4)):
        assert rank_for_energy(s, energy) == rank
    assert rank_for_energy(np.zeros(3), 0.9) == 1


def test_a_configuration_with_layers_nested():
    assert dict(nested_config(CONFIG, "mlp", "0.5x").nested) == dict.fromkeys(choose_layers(CONFIG), 3)
    with pytest.raises(OptionError, match=r"nested_config: ranks is 'energy=0.9', which depends on weights"):
        nested_config(CONFIG, "mlp", "energy=0.9")
