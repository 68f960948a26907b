"""The truncated model is the largest specialist cut by hand; specialists store no more than their rank."""

import numpy as np
import pytest

from nsn_ref.experiments.data import split
from nsn_ref.experiments.paper import printed
from nsn_ref.experiments.paper.truncation import cells, run
from nsn_ref.experiments.paper.truncation_page import page


def test_truncation_is_a_cut(digits, options, runs, by_hand):
    found = run(digits, options(model="specialist", rank=8), 1)["accuracy"]
    rows, (trained,) = split(digits, 1), runs
    assert {tuple(record["ranks"]) for record in trained.metrics} == {(8,)}
    for r in (1, 2, 4, 8):
        assert found[str(r)] == np.mean(by_hand(trained.params, rows.x_test, r).argmax(axis=1) == rows.y_test)


def test_a_specialist_has_its_rank_only(digits, options, runs):
    assert list(run(digits, options(model="specialist", rank=2), 0)["accuracy"]) == ["1", "2"]
    assert runs[0].net.R == 2 and runs[0].params["layers.0.A"].shape == (2, 64)


def test_the_page_says_what_the_records_say():
    """Nested: 0.9 everywhere. Specialists: 0.8 at rank 1, else 0.95. Cut: 0.1 below R."""
    records = []
    for options in cells("smoke"):
        for seed in (0, 1, 2):
            rank = options.get("rank")
            accuracy = {str(r): 0.9 for r in (1, 2, 4, 8)}
            if rank is not None:
                accuracy = {str(r): 0.1 for r in (1, 2, 4, 8) if r < rank} | {str(rank): 0.8 if rank == 1 else 0.95}
            records.append({"options": options, "seed": seed, "result": {"accuracy": accuracy}, "data": "digits"})
    body, figures = page(records)
    text = " ".join(body.split())
    assert (
        "from the truncated model by +80.0 to +80.0 points; the interval lies wholly above zero at ranks 1, 2, 4."
        in text
    )
    assert (
        "by -5.0 to +10.0 points; the interval lies wholly below zero at ranks 2, 4, 8, wholly above at rank 1." in text
    )
    assert f"| {printed.SPECIALIST[8]:.1f} | {printed.TRUNCATED[8]:.1f} |" in text
    (axes,) = figures["truncation.png"].axes
    drawn = np.array([line.get_ydata() for line in axes.lines])
    assert drawn == pytest.approx(np.array([[90] * 4, [80, 95, 95, 95], [10, 10, 10, 95]]))
