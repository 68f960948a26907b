"""FLOPs by the formula, and widths by trying all."""

from nsn_ref.experiments.paper.specialists import run


def test_flops_and_widths(digits, options):
    nested = run(digits, options(model="nested"), 0)
    by_formula = {str(r): 2 * (r * (64 + 16) + r * (16 + 16) + 16 * 10) for r in (1, 2, 4, 8)}
    assert nested["flops"] == by_formula
    for rank in (2, 8):
        dense = run(digits, options(model="dense", rank=rank), 0)
        gaps = {w: abs(2 * (64 * w + w * w + 10 * w) - by_formula[str(rank)]) for w in range(1, 100)}
        assert dense["width"] == min(gaps, key=gaps.get)
        assert abs(dense["flops"] - by_formula[str(rank)]) == gaps[dense["width"]]


def test_both_learn(digits, options):
    longer = options(epochs=20)
    assert run(digits, longer | {"model": "dense", "rank": 8}, 0)["accuracy"] > 0.9
    assert run(digits, longer | {"model": "nested"}, 0)["accuracy"]["8"] > 0.9
