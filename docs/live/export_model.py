"""Write model.safetensors and model.json from a finished run: python docs/live/export_model.py FOLDER.

The page's own model is that of

    nsn-ref train digits --variants all --seed 0 --out FOLDER

Another machine's BLAS may round otherwise, and so lead to other weights.
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from nsn_ref import load_run
from nsn_ref.analysis.cost import dense_cost
from nsn_ref.analysis.frontier import frontier
from nsn_ref.analysis.linear_layers import linear_layers
from nsn_ref.experiments import digits_data

HERE = Path(__file__).parent
COMMAND = "nsn-ref train digits --variants all --seed 0"


def export(folder):
    """Write the weights, and what the page says about them."""
    run = load_run(folder)
    x, labels = digits_data.load_scans()
    held_out = digits_data.stratified_folds(labels, 5, np.random.default_rng(run.config.seed))[0]
    scans = digits_data.split(x, labels, held_out)
    training = np.delete(x, held_out, axis=0)
    mean = training.mean(axis=0)
    rows = frontier(run.net, run.params, scans.x_test, scans.y_test)
    first = [held_out[labels[held_out] == digit][0] for digit in range(digits_data.CLASSES)]
    facts = {
        "command": COMMAND,
        "widths": "-".join(map(str, run.net.widths)),
        "R": run.net.R,
        "held_out": len(held_out),
        "mean": mean.tolist(),
        "scale": float(np.sqrt(((training - mean) ** 2).mean())),
        "dense_multiply_adds": dense_cost(linear_layers(run.net, scans.x_test.shape)).multiply_adds,
        "ranks": [{"rank": row.rank, "accuracy": row.accuracy, "loss": row.loss} for row in rows],
        "examples": [{"label": int(labels[i]), "counts": digits(x[i])} for i in first],
    }
    save_file({name: p for name, p in run.params.items() if name != "s"}, HERE / "model.safetensors")
    (HERE / "model.json").write_text(json.dumps(facts, indent=1) + "\n")


def digits(counts):
    """Counts 0..16 as digits of base 17."""
    return "".join("0123456789abcdefg"[int(count)] for count in counts)


if __name__ == "__main__":
    export(sys.argv[1])
