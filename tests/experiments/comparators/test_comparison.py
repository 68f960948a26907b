"""The comparison runs every method at the same budgets; its page says who loses."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from nsn_ref.experiments.comparators.comparison import EXPERIMENT, cells, run
from nsn_ref.experiments.comparators.comparison_page import page
from nsn_ref.experiments.comparators.methods import KINDS, METHODS
from nsn_ref.experiments.data import made

OPTIONS = {"R": 4, "hidden": [9, 11], "epochs": 2}


@pytest.fixture
def clouds():
    """Three clouds of points."""
    rng = np.random.default_rng(3)
    y = np.arange(101) % 3
    return made("clouds", rng.standard_normal((101, 7)) + y[:, None], y, one_unit=True)


def test_every_form_has_every_method():
    for form in ("smoke", "quick", "full"):
        assert [each["method"] for each in cells(form)] == list(METHODS)
    assert EXPERIMENT.seeds["quick"] >= 5 and EXPERIMENT.seeds["full"] >= 5


@pytest.mark.parametrize("name", METHODS)
def test_a_cell_is_deterministic_and_of_equal_flops(clouds, name):
    result, again = (run(clouds, OPTIONS | {"method": name}, 1) for _ in range(2))
    seconds = result.pop("seconds")
    del again["seconds"]
    assert result == again
    assert result["ranks"] == [1, 2, 4] and len(result["accuracy"]) == len(seconds["row"]) == len(seconds["batch"]) == 3
    assert all(each > 0 for each in (seconds["training"], *seconds["row"], *seconds["batch"]))
    nested = [2 * (r * (7 + 9) + r * (9 + 11) + 11 * 3) for r in (1, 2)]
    nested.append(2 * (min(4 * 16, 63) + min(4 * 20, 99) + 33))
    bottlenecks = [2 * (18 * width + 33) for width in range(1, 10)]
    for k, (budget, flops, width) in enumerate(zip(nested, result["flops"], result["widths"], strict=True)):
        expected = {
            "ranks": budget,
            "widths": 2 * (10 * width + width**2),
            "bottleneck": min(bottlenecks, key=lambda flops: abs(flops - budget)),
            "representation": 2 * (63 + 12 * (1, 2, 11)[k]),
            "adapters": 2 * (63 + 99 + 33),
        }
        assert flops == expected[METHODS[name].kind]


NSN = [0.5, 0.7, 0.9]  # accuracies


def records(shift):
    """Two splits; a rival's accuracies are NSN's plus `shift`, in thousandths, and two more for the second split."""
    made = []
    for name in METHODS:
        for seed in range(2):
            own = [a + (s + 2 * seed) / 1000 for a, s in zip(NSN, shift, strict=True)] if name != "nsn" else NSN
            made.append({
                "options": OPTIONS | {"method": name},
                "seed": seed,
                "data": "clouds",
                "result": {
                    "ranks": [1, 2, 4], "widths": [3, 5, 6], "flops": [100, 200, 300], "accuracy": own,
                    "training_flops": 3_000_000_000 if name == "slimmable" else 2_000_000_000, "stored": 12345,
                },
                "seconds": {"training": 1.5, "row": [1e-6, 2e-6, 4e-6], "batch": [1e-5, 2e-5, 4e-5]},
            })  # fmt: skip
    return made


def test_the_page_says_where_nsn_loses_and_wins():
    body = page(records([99, -1, -101])).body  # differences -99 and -101, +1 and -1, +101 and +99
    for name, method in METHODS.items():
        if name != "nsn":
            assert f"- {method.label}: NSN loses at rank 1, wins at rank 4\n" in body
    rivals = sum(KINDS[method.kind] for method in METHODS.values()) - 1
    assert f"NSN loses {rivals}, wins {rivals} and ties {rivals} of {3 * rivals} pairs" in body
    assert "| NSN | 50.0 | 70.0 | 90.0 | 70.0 |" in body
    assert "| slimmable | 60.0 | 70.0 | 80.0 | 70.0 |" in body
    assert "| slimmable | 3.0 | 1.50 | 12,345 | 1.5 |" in body
    assert "| 2 | 200 | 2.0 | 20.0 | 2.0 | 20.0 |" in body


def test_every_method_is_in_the_figure_with_a_style_of_its_own():
    (figure,) = page(records([5, 5, 5])).figures.values()
    assert len(figure.axes) == 6
    for axes in figure.axes:
        styles = [(line.get_marker(), str(line.get_linestyle())) for line in axes.get_lines()]
        assert len(set(styles)) == len(styles) > 1
        assert axes.get_lines()[0].get_label() == "NSN"
    labels = {line.get_label() for axes in figure.axes[:3] for line in axes.get_lines()}
    assert labels == {method.label for method in METHODS.values()}
