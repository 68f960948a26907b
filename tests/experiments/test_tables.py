"""Values by seed, paired intervals and text, on records made by hand."""

import pytest

from nsn_ref.experiments import tables
from nsn_ref.experiments.paired import corrected_interval

RECORDS = [
    {"options": {"model": model, "R": 8}, "seed": seed, "result": {"accuracy": {"8": base + seed / 10}}}
    for model, base in (("a", 0.5), ("b", 0.25))
    for seed in (0, 1, 2)
]


def test_values_are_found_by_options_and_path():
    assert tables.values(RECORDS, "accuracy", "8", model="b") == {0: 0.25, 1: 0.35, 2: 0.45}
    assert tables.choices(RECORDS, "model") == ["a", "b"]


def test_differences_are_paired_by_seed():
    ours, rival = {0: 0.5, 1: 0.7, 2: 0.9}, {2: 0.8, 1: 0.4, 0: 0.3}
    assert tables.difference(ours, rival, 100) == pytest.approx(corrected_interval([20, 30, 10], 1 / 4))
    assert tables.average([ours, rival]) == pytest.approx({0: 0.4, 1: 0.55, 2: 0.85})
    assert tables.mean(ours) == pytest.approx(0.7)


def test_text():
    assert tables.interval(corrected_interval([1, 2, 3], 1 / 4)) == "+2.0 (-1.3 to +5.3)"
    assert tables.at_ranks([]) == "at no rank" and tables.at_ranks([4]) == "at rank 4"
    assert tables.at_ranks(r for r in (1, 2)) == "at ranks 1, 2"
    assert tables.listed(["x", "y"]) == '"x"; "y"' and tables.listed([]) == "none"
    assert tables.table(["r", "v"], [[1, 2.5]]) == "| r | v |\n| --- | ---: |\n| 1 | 2.5 |"
    assert tables.extremes(iter([1.04, -3])) == "-3.0 to +1.0 points"
