"""Table 1: one cross-entropy or two, the regularisers; and the weighting and each curriculum in isolation."""

from nsn_ref.experiments.data import split
from nsn_ref.experiments.experiment import Experiment
from nsn_ref.experiments.paper import recipe
from nsn_ref.experiments.paper.recipe import ALONE, SEEDS, accuracies, fit_nested, trained_ranks, untrained_ranks

# a row is what sets it apart from Eq. 3 with uniform variants; regularisers have coefficient 1 but where it is named
TWO = {"objective": "sum", "curriculum": "uniform"}
ROWS = {
    "one cross-entropy": ALONE,
    "one cross-entropy, hard orthogonality": ALONE | {"regularisers": {"hard_orthogonality": 1.0}},
    "two cross-entropies": TWO,
    "two cross-entropies, logits": TWO | {"regularisers": {"logits": 1.0}},
    "two cross-entropies, residual orthogonality": TWO | {"regularisers": {"residual_orthogonality": 1.0}},
    "two cross-entropies, hidden": TWO | {"regularisers": {"hidden": 1.0}},
    "two cross-entropies, 0.01 logits": TWO | {"regularisers": {"logits": 0.01}},
    "two cross-entropies, 0.01 hidden": TWO | {"regularisers": {"hidden": 0.01}},
    "two cross-entropies, Eq. 3": {},
    "two cross-entropies, easy to hard": TWO | {"curriculum": "easy_to_hard"},
    "two cross-entropies, hard to easy": TWO | {"curriculum": "hard_to_easy"},
    "two cross-entropies, delayed": TWO | {"curriculum": "delayed"},
    "two cross-entropies, any rank, uniform": TWO | {"variants": None},
    "two cross-entropies, any rank, log-uniform": TWO | {"variants": None, "curriculum": "log_uniform"},
    "all cross-entropies": TWO | {"curriculum": "all"},
}


def cells(form):
    """One for each row."""
    return recipe.cells(form, [{"row": row} for row in ROWS])


def run(data, options, seed):
    """Accuracy of one row's network at the trained and at the interpolated ranks."""
    rows = split(data, seed)
    trained = fit_nested(data, rows, options, seed, **ROWS[options["row"]])
    R = options["R"]
    return {
        "trained": accuracies(trained, rows, trained_ranks(R)),
        "interpolated": accuracies(trained, rows, untrained_ranks(R)),
    }


EXPERIMENT = Experiment(
    name="ablation",
    title="What the objective is made of",
    summary="cross-entropies, regularisers, the weights of Eq. 3 and each curriculum in isolation",
    source="Table 1",
    cells=cells,
    seeds=SEEDS,
    run=run,
)
