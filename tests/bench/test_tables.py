"""What is computed from records: tables, targets, the page, the figure."""

import math

import pytest
from bench_records import machine, step_record, sweep_record

from nsn_ref.bench import allranks, digits, roofline, startup, step, subnormals, sweeps, targets
from nsn_ref.bench.figure import figure
from nsn_ref.bench.page import page
from nsn_ref.bench.tables import Table, markdown, milliseconds

TIMES = [
    {"ours": [0.1, 0.3, 0.2], "torch": [0.9], "jax": [0.5], "reference": [0.8], "products": [0.1]},
    {"ours": [1.0], "torch": [2.0], "jax": [1.1], "reference": [1.5], "products": [0.9]},
    {"ours": [4.0], "torch": [3.0], "jax": [6.0], "reference": [9.0], "products": [3.0]},
    {"ours": [50.0], "torch": [70.0], "jax": [60.0], "reference": [200.0], "products": [45.0]},
]


def row(table, first):
    return next(cells for cells in table.rows if cells[0] == first)


def test_milliseconds_keep_three_digits():
    assert milliseconds([0.1234, 0.2, 0.1]) == "0.123 (0.100-0.200)"
    assert milliseconds([12.34]) == "12.3 (12.3-12.3)"


def test_markdown():
    table = Table("T", ("a", "b"), [("x", "1")], ("A note.",))
    assert markdown(table) == "## T\n\n| a | b |\n| --- | ---: |\n| x | 1 |\n\nA note."


def test_times_of_a_step():
    table = step.times(step_record(TIMES))
    assert table.columns == ("net (R, batch)", "ours", "torch", "jax", "reference")
    assert table.rows[0][:3] == ("64-128-128-10 (32, 64)", "0.200 (0.100-0.300)", "0.900 (0.900-0.900)")


def test_targets_take_the_fastest_peer_of_each_network():
    ratios, reached = targets.tables(step_record(TIMES))
    best = [0.5 / 0.2, 1.1, 3.0 / 4.0, 60 / 50]
    assert row(ratios, "best peer / ours")[1:5] == tuple(f"{r:.2f}" for r in best)
    assert row(reached, "best peer / ours, the worst network")[1:] == ("1.00", "0.75", "no")
    mean = math.prod(best) ** 0.25
    assert row(reached, "best peer / ours, geometric mean")[1:] == ("1.50", f"{mean:.2f}", "no")
    assert row(reached, "best peer / ours, the smallest network")[1:] == ("3.00", "2.50", "no")
    assert row(reached, "reference / ours, the worst network")[1:] == ("1.00", "1.50", "yes")


def test_targets_with_mkl_are_beside_those_with_the_default():
    times = [each | {"ours-mkl": [each["ours"][0] / 2]} for each in TIMES]
    ratios, reached = targets.tables(step_record(times))
    best = [0.5 / 0.05, 2.2, 3.0 / 2.0, 60 / 25]
    assert row(ratios, "best peer / ours-mkl")[1:5] == tuple(f"{r:.2f}" for r in best)
    assert row(reached, "best peer / ours-mkl, the worst network")[1:] == ("1.20", "1.50", "yes")
    assert row(reached, "best peer / ours-mkl, geometric mean")[1] == "2.00"


def test_targets_are_for_all_four_networks_in_float32():
    assert [t.title for t in targets.tables(step_record(TIMES[:2]))] == ["How many times as long as ours"]
    assert [t.title for t in targets.tables(step_record(TIMES, "float64"))] == ["How many times as long as ours"]
    assert targets.tables(step_record([{"ours": [1.0], "products": [0.5]}])) == []


def test_roofline_takes_the_best_size():
    table = roofline.table(step_record(TIMES))
    flops = 2 * 64 * (3 * 2 * 1280 + 32 * (2 * 64 + 3 * 128) + 40 * 3 * 256)
    assert row(table, "64-128-128-10 (32, 64)")[1:3] == ("0.100", "0.50")
    assert row(table, "64-128-128-10 (32, 64)")[3:] == (
        f"{flops / 1e5:.0f}",
        f"{flops / 3e8:.3f}",
        f"{flops / 3e8 / 0.2:.2f}",
    )


def test_sweep_shows_the_line():
    (table,) = sweeps.tables(sweep_record("ranks", {"ours": [1.5, 2.0, 2.5], "jax": [1.0, 3.0, 2.0]}))
    assert row(table, "2")[1:] == ("2.00 (2.00-2.00)", "3.00 (3.00-3.00)")
    assert row(table, "slope, ms")[1] == "0.5000" and row(table, "intercept, ms")[1] == "1.000"
    assert row(table, "R squared")[1:] == ("1.0000", "0.2500")
    assert len(sweeps.tables(sweep_record("batch", {"ours": [1.0, 2.0]}))[0].rows) == 2


@pytest.mark.parametrize("name", sweeps.SWEEPS)
@pytest.mark.parametrize("quick", [False, True])
def test_points_of_a_sweep_are_cells(name, quick):
    points = sweeps.SWEEPS[name].points(quick)
    assert [p[0] for p in points] == sorted({p[0] for p in points})
    for _, widths, R, ranks, rows in points:
        assert len(widths) > 2 and rows >= 1 and max(ranks) <= R and min(ranks) >= 1


def test_all_ranks_beside_the_best_peer():
    record = {"cells": step_record(TIMES)["cells"], "dtype": "float32", "threads": 2}
    (table,) = allranks.tables(record)
    assert table.columns[-1] == "best peer / ours" and table.rows[1][-1] == "1.10"


def test_subnormals_are_held_against_steps_without_any():
    gaps = {"0": {"ms": [1.0, 2.0, 3.0], "share": 0.0}, "88": {"ms": [5.0], "share": 0.975}}
    record = {"cells": [{"name": "net", "gaps": gaps}], "dtype": "float32", "threads": 2}
    (table,) = subnormals.tables(record)
    assert table.rows[1] == ("net", "88", "98 %", "5.00 (5.00-5.00)", "2.50")


def test_startup_and_digits():
    (table,) = startup.tables({"first_ms": 9000.0, "ms": [1400.0, 1600.0, 1450.0]})
    assert table.rows == [("process start to first step", "1500", "1450.0 (1400.0-1600.0)", "yes")]
    engines = {
        name: {"seconds": seconds, "first_seconds": 9.0, "accuracy": 0.97, "losses": []}
        for name, seconds in (("ours", [1.0, 2.0, 3.0]), ("torch", [7.0]))
    }
    (table,) = digits.tables({"threads": 2, "epochs": 120, "engines": engines})
    assert table.rows[1] == ("torch", "7.00 (7.00-7.00)", "3.50", "9.00", "97.0 %")
    assert "reached 3.50" in table.notes[-1]


def test_page_names_command_machine_and_files():
    step = step_record(TIMES)
    record = {"commands": {"step": "nsn-ref bench x"}, "machine": machine(), "benchmarks": {"step": step}}
    text = page(record, json="speed.json", figure="speed.png")
    assert "    nsn-ref bench x\n" in text and "abacus" in text and "torch: not installed" in text
    assert "[speed.json](speed.json)" in text and "](speed.png)" in text and "## Targets" in text
    assert "](" in page(record) and "None" not in page(record)


def test_figure_has_a_panel_for_each_curve():
    import io

    from matplotlib.image import imread

    sweep = sweep_record("ranks", {"ours": [1.0, 2.0], "jax": [2.0, 3.0]})
    one = figure({"benchmarks": {"step": step_record(TIMES)}})
    three = figure({"benchmarks": {"step": step_record(TIMES), "ranks": sweep, "memory": {}, "batch": sweep}})
    small, large = (imread(io.BytesIO(image), format="png").shape for image in (one, three))
    assert large[0] == pytest.approx(2 * small[0], abs=2) and large[1] == pytest.approx(2 * small[1], abs=2)
