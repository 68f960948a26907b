"""The experiment's quick form, and that every model in it is what it is called."""

import json

import numpy as np
import pytest

from nsn_ref.analysis.cost import dense_cost
from nsn_ref.analysis.linear_layers import linear_layers
from nsn_ref.errors import OptionError, RankError
from nsn_ref.experiments import digits
from nsn_ref.experiments.digits_data import Split


@pytest.fixture(scope="module")
def record():
    pytest.importorskip("sklearn")
    return digits.run(digits.QUICK)


def test_the_record_is_complete(record):
    assert json.loads(json.dumps(record, allow_nan=False))["splits"] == record["splits"]
    assert [(s["repeat"], s["fold"], s["seed"]) for s in record["splits"]] == [(0, 0, 0), (0, 1, 1)]
    for split in record["splits"]:
        for model, ranks in {"nested": [2, 8, 16], "specialist": [2, 8, 16], "truncated": [2, 8, 16]}.items():
            assert list(split[model]) == list(map(str, ranks))
        assert list(split["dense"]) == ["2", "16"]
        assert split["truncated"]["16"] == split["specialist"]["16"]  # the same network
        assert all(0 <= value <= 1 for model in digits_models(split) for value in model.values())


def digits_models(split):
    return [split[name] for name in ("nested", "specialist", "truncated", "dense")]


def test_what_training_does_shows_even_in_the_quick_form(record):
    """On real scans: every full-rank model learns, and cutting a network trained at R only costs more than nesting."""
    for split in record["splits"]:
        assert min(split[name]["16"] for name in ("nested", "specialist", "dense")) > 0.9
        assert split["nested"]["2"] > split["truncated"]["2"] + 0.2


def test_the_same_seed_gives_the_same_record(record):
    """Bits are promised at equal BLAS and thread counts, which one process has."""
    again = digits.run(digits.QUICK)
    assert again["splits"] == record["splits"]


def test_dense_widths_are_the_nearest(record):
    plan = digits.FULL
    layers = linear_layers(digits.nested_net(plan), (1, 64))
    assert dense_cost(layers).flops == 2 * (64 * 128 + 128 * 128 + 128 * 10)
    for flops in (3000, 9000, 31232):
        width = digits.matched_width(flops, plan)
        by_hand = [abs(2 * (64 * w + w * w + 10 * w) - flops) for w in range(1, 200)]
        assert width == 1 + int(np.argmin(by_hand))
    assert record["dense_widths"] == {"2": digits.matched_width(record["flops"]["2"], digits.QUICK),
                                      "16": digits.matched_width(record["flops"]["16"], digits.QUICK)}  # fmt: skip
    assert record["flops"]["8"] == 2 * (8 * (64 + 32) + 8 * (32 + 32) + 32 * 10)


def test_models_are_trained_as_they_are_called(monkeypatch, rng):
    """Which ranks each training visits: the nested network its own, every rival one alone."""
    x, y = rng.standard_normal((40, 64)).astype(np.float32), np.arange(40) % 10
    seen = []

    def spy(net, scans, plan, seed, **options):
        run = fit(net, scans, plan, seed, **options)
        seen.append((net, {tuple(record["ranks"]) for record in run.metrics}, seed))
        return run

    fit = digits.fit
    monkeypatch.setattr(digits, "fit", spy)
    plan = digits.Plan(hidden=(5, 7), R=6, trained=(1, 2, 6), untrained=(4,), settings=(("warmup_steps", 0),))
    digits.compare(plan, Split(x, y, x, y), {1: 3, 2: 4, 6: 5}, seed=9)
    assert {seed for *_, seed in seen} == {9}
    nested, *rivals = [(net, ranks) for net, ranks, _ in seen]
    assert nested[0].R == 6 and nested[1] == {(6, 1), (6, 2)}
    factorised = [(net.R, ranks) for net, ranks in rivals if net.nested_layers]
    assert factorised == [(r, {(r,)}) for r in (1, 2, 4, 6)]
    dense = [net.widths for net, _ in rivals if not net.nested_layers]
    assert dense == [(64, 3, 3, 10), (64, 4, 4, 10), (64, 5, 5, 10)]


def test_bad_plans_are_named():
    with pytest.raises(RankError, match="Plan: ranks"):
        digits.Plan(untrained=(33,))
    with pytest.raises(OptionError, match="expected R = 32 among the former"):
        digits.Plan(trained=(1, 2))
    with pytest.raises(OptionError, match="nothing in both"):
        digits.Plan(untrained=(2,))
    with pytest.raises(OptionError, match="repeats is 0"):
        digits.Plan(repeats=0)
    with pytest.raises(OptionError, match="splits is 16"):
        digits.Plan(splits=16)
