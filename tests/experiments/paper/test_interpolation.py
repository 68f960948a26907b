"""What is called untrained was never visited, and every rank is evaluated."""

from nsn_ref.experiments.paper import truncation
from nsn_ref.experiments.paper.interpolation import run


def test_untrained_ranks_are_never_visited(digits, options, runs):
    found = run(digits, options(model="nested"), 0)["accuracy"]
    assert list(found) == [str(r) for r in range(1, 9)]
    assert {r for record in runs[0].metrics for r in record["ranks"]} == {1, 2, 4, 8}
    trained = truncation.run(digits, options(model="nested"), 0)["accuracy"]
    assert {r: found[r] for r in trained} == trained


def test_its_rivals_are(digits, options, runs):
    run(digits, options(model="nested, any rank"), 0)
    assert list(run(digits, options(model="specialist", rank=3), 0)["accuracy"]) == ["3"]
    every, alone = ({r for record in each.metrics for r in record["ranks"]} for each in runs)
    assert every == set(range(1, 9)) and alone == {3} and runs[1].net.R == 3
