"""Budgets in FLOPs, widths that meet them, and the options of a training."""

import pytest

from nsn_ref.errors import OptionError, RankError
from nsn_ref.experiments.comparators.setting import Setting, multiply_adds, step_cost


def test_multiply_adds_are_counted_by_hand(setting):
    net = setting.nested(5)
    for r in (1, 3, 4):
        assert multiply_adds(net, r) == r * (7 + 13) + r * (13 + 11) + 11 * 3
    assert multiply_adds(setting.dense(8), 1) == 7 * 8 + 8 * 8 + 8 * 3


def test_a_product_is_taken_where_factors_cost_more(setting):
    net = setting.nested(5)
    assert multiply_adds(net, 5) == 7 * 13 + 5 * (13 + 11) + 11 * 3  # 5 (7 + 13) > 7 * 13
    assert multiply_adds(net, 5, cached=False) == 5 * (7 + 13) + 5 * (13 + 11) + 11 * 3
    assert step_cost(net, 5) == 3 * (5 * (7 + 13) + 5 * (13 + 11) + 11 * 3)


def test_no_other_width_is_nearer_to_a_budget(setting):
    for rank, width in zip(setting.ranks, setting.widths, strict=True):
        budget = multiply_adds(setting.nested(5), rank)
        distances = {w: abs(w * 7 + w * w + w * 3 - budget) for w in range(1, 40)}
        assert distances[width] == min(distances.values())
    assert sorted(set(setting.widths)) == list(setting.widths)


def test_hidden_layers_may_have_widths_of_their_own(setting):
    assert setting.dense((2, 5)).widths == (7, 2, 5, 3) and setting.dense(4).widths == (7, 4, 4, 3)


def test_the_first_twentieth_of_the_steps_warms_up(setting, rows):
    long = Setting(d_in=7, classes=3, hidden=(13, 11), ranks=(1, 5), epochs=50)
    assert len(rows.x_train) == 80 and len(long.batches(rows, 0)) == 100
    assert long.config(rows, 0).warmup_steps == 5
    assert [len(batch) for batch in setting.batches(rows, 0)] == [64, 16] * 3


def test_bad_options_are_named():
    with pytest.raises(OptionError, match="Setting: epochs is 0"):
        Setting(d_in=7, classes=3, hidden=(13,), ranks=(1,), epochs=0)
    with pytest.raises(RankError, match=r"ranks\[0\] is 3"):
        Setting(d_in=7, classes=3, hidden=(13,), ranks=(3, 2), epochs=1)
