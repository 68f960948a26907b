"""FLOPs against the formula and `analysis.cost`; every rank is timed."""

import pytest

from nsn_ref.analysis.cost import Layer, dense_cost, network_cost
from nsn_ref.experiments.paper.cost import cells, run

LAYERS = [Layer(64, 16, 8), Layer(16, 16, 8), Layer(16, 10)]


@pytest.mark.parametrize("options", cells("smoke"))
def test_flops_and_seconds(digits, options):
    found = run(digits, options, 0)
    assert found["flops"] == {str(r): network_cost(LAYERS, r).flops for r in (1, 2, 4, 8)} | {
        "dense": dense_cost(LAYERS).flops
    }
    assert found["flops"]["2"] == 2 * (2 * (64 + 16) + 2 * (16 + 16) + 16 * 10)
    more = {"nested", "nested, compiled"} if options["what"] == "training" else set()
    assert set(found["seconds"]) == set(found["flops"]) | more
    assert all(0 < seconds < 1 for seconds in found["seconds"].values())
