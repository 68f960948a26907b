"""Every row of Table 1 is there and trained as it is called."""

import pytest

from nsn_ref.experiments.paper import printed, truncation
from nsn_ref.experiments.paper.ablation import ROWS, run

# as a row calls it: the name of the regulariser
REGULARISERS = {
    "hard orthogonality": "hard_orthogonality",
    "residual orthogonality": "residual_orthogonality",
    "logits": "logits",
    "hidden": "hidden",
}


def test_the_rows_of_the_paper_are_there():
    assert list(ROWS)[:6] == list(printed.ABLATION)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_trained_as_it_is_called(digits, options, runs, row):
    run(digits, options(row=row, epochs=2), 0)
    (trained,) = runs
    visited = [tuple(record["ranks"]) for record in trained.metrics]
    first, *rest = row.split(", ")
    assert trained.config.objective.kind == ("uncertainty" if "Eq. 3" in row else "sum")
    if first == "one cross-entropy":
        assert set(visited) == {(8,)}
    elif first == "all cross-entropies":
        assert set(visited) == {(8, 4, 2, 1)}
    elif "any rank" in row:
        assert {ranks[1] for ranks in visited} >= {3, 5}
    elif rest != ["delayed"]:
        assert {ranks[0] for ranks in visited} == {8} and {ranks[1:] for ranks in visited} <= {(1,), (2,), (4,)}
    else:
        half = len(visited) // 2
        assert set(visited[:half]) == {(8,)} and {len(ranks) for ranks in visited[-5:]} == {2}
    assert trained.config.regularisers == {
        stem: 0.01 if "0.01" in row else 1.0 for name, stem in REGULARISERS.items() if row.endswith(f" {name}")
    }


def test_one_cross_entropy_is_the_truncated_model(digits, options):
    """The same training, named by two experiments."""
    one = run(digits, options(row="one cross-entropy"), 0)["trained"]
    assert one == truncation.run(digits, options(model="specialist", rank=8), 0)["accuracy"]
