"""What the figures show: the right numbers, on named axes, in lines that read without colour."""

import numpy as np
import pytest

from nsn_ref.analysis import plots
from nsn_ref.analysis.frontier import FrontierRow

ROWS = [FrontierRow(r, r in (2, 5), 0.2 * r, 1 / r, 100 * r, r / 4, -0.1 * r) for r in (1, 2, 3, 4, 5)]


@pytest.fixture
def drawn(monkeypatch):
    """The axes of the last figure."""
    made = []

    def keep(title):
        made.append(figure(title))
        return made[-1]

    figure = plots.new_figure
    monkeypatch.setattr(plots, "new_figure", keep)
    return lambda: made[-1][1]


def test_accuracy_against_flops(drawn):
    plots.accuracy_against_flops(ROWS, "a title")
    axes = drawn()
    trained, untrained = (collection.get_offsets().tolist() for collection in axes.collections)
    assert trained == [[200, 40], [500, 100]]
    assert untrained == [[100, 20], [300, pytest.approx(60)], [400, 80]]
    assert axes.lines[1].get_xdata()[0] == pytest.approx(400)  # dense: 500 FLOPs are 5/4 of it
    assert [text.get_text() for text in axes.texts] == ["2", "5"]
    assert axes.get_xlabel() and "%" in axes.get_ylabel() and axes.get_title() == "a title"


def test_log_variances(drawn):
    steps, s = np.array([10, 20]), np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    plots.log_variances(steps, s, [3, 1], "a title")
    axes = drawn()
    assert [(line.get_label(), list(line.get_ydata())) for line in axes.lines[:2]] == [
        ("rank 1", [0.1, 0.4]), ("rank 3", [0.3, 0.6]),
    ]  # fmt: skip
    plots.log_variances(steps, np.zeros((2, 64)), range(1, 65), "a title")
    labels = [line.get_label() for line in drawn().lines if line.get_label().startswith("rank")]
    assert len(labels) == 10 and (labels[0], labels[-1]) == ("rank 1", "rank 64")


def test_component_energies(drawn):
    plots.component_energies({"layers.0": np.array([3.0, 1.0]), "layers.1": np.array([2.0, 0.5])}, "a title")
    axes = drawn()
    assert [list(line.get_ydata()) for line in axes.lines] == [[3, 1], [2, 0.5]]
    assert axes.get_xlabel() and axes.get_ylabel() and axes.get_yscale() == "log"


def test_lines_differ_without_colour():
    assert len({marker for marker, _ in plots.STYLES}) == len(plots.STYLES) == len(plots.COLOURS)


def test_the_same_figure_has_the_same_bytes():
    assert plots.accuracy_against_flops(ROWS, "a title") == plots.accuracy_against_flops(ROWS, "a title")
