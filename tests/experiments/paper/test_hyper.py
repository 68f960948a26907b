"""Each cell differs from the base in one thing, and is trained so."""

from nsn_ref.experiments.paper import truncation
from nsn_ref.experiments.paper.hyper import BASE, cells, run


def test_each_cell_changes_one_thing():
    base, *others = cells("quick")
    assert base == {"R": 64, "hidden": [128, 128], "epochs": 60, "variant": BASE}
    for cell in others:
        assert len([name for name in cell if name != "variant" and cell[name] != base.get(name)]) == 1


def test_trainings(digits, runs):
    for cell in cells("smoke"):
        run(digits, cell, 0)
        visited = {tuple(record["ranks"]) for record in runs[-1].metrics}
        R = cell["R"]
        below = cell.get("variants") or [r for r in (1, 2, 4, 8) if r < cell.get("anchor", R)]
        assert runs[-1].net.R == R and visited <= {(cell.get("anchor", R), r) for r in below}
        assert {r for _, r in visited} == set(below)


def test_the_base_is_the_network_of_the_others(digits, options):
    found = run(digits, options(variant=BASE), 0)["accuracy"]
    other = truncation.run(digits, options(model="nested"), 0)["accuracy"]
    assert {r: found[r] for r in other} == other
