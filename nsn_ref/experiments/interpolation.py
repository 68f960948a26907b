"""How loose `analysis.interpolation` is on a trained run: `python -m nsn_ref.experiments.interpolation RUN`.

Written as the Markdown table of docs/deep-bound.md, from the rows that the run held out.
"""

import sys
from typing import NamedTuple

import numpy as np

from nsn_ref import ops
from nsn_ref.analysis.interpolation import CHANGES, interpolation_bound, loss_interpolation_bound
from nsn_ref.training.held_out import load_held_out
from nsn_ref.training.run import load_run

HEAD = ("rank", "change of the logits", *(f"bound, {change}" for change in CHANGES), "change of the loss", "its bound")


class Looseness(NamedTuple):
    """One rank against the largest."""

    rank: int
    logits: float  # mean over the inputs of norm(logits at R - logits at the rank)
    ratios: tuple  # medians over the inputs of bound / change, for each of CHANGES
    loss: float  # absolute change of the mean cross-entropy, nats
    loss_bound: float  # by energies


def looseness(net, params, x, labels, ranks):
    """Measured changes between R and each of `ranks`, and how far above them the bounds lie.

    Parameters
    ----------
    net : MLP
    params : dict of str to ndarray
    x : ndarray, shape (n, d_in)
    labels : ndarray, shape (n,)
    ranks : sequence of int, each below R

    Returns
    -------
    list of Looseness
    """
    top, _ = net.forward(params, x, net.R)
    loss_top, _ = ops.softmax_cross_entropy_forward(top, labels)
    rows = []
    for rank in ranks:
        z, _ = net.forward(params, x, rank)
        loss, _ = ops.softmax_cross_entropy_forward(z, labels)
        change = np.linalg.norm(top - z, axis=-1)
        ratios = (interpolation_bound(net, params, x, net.R, rank, change=kind) / change for kind in CHANGES)
        loss_bound = loss_interpolation_bound(net, params, x, net.R, rank)
        medians = tuple(float(np.median(ratio)) for ratio in ratios)
        rows.append(Looseness(rank, float(change.mean()), medians, abs(float(loss - loss_top)), loss_bound))
    return rows


def table(rows):
    """The same as a Markdown table."""
    lines = [" | ".join(HEAD), " | ".join(["---"] * len(HEAD))]
    for row in rows:
        ratios = (f"{ratio:,.0f} x" for ratio in row.ratios)
        cells = (f"{row.rank}", f"{row.logits:.2f}", *ratios, f"{row.loss:.4f}", f"{row.loss_bound:,.0f}")
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def main(folder):
    """Print the table of a run, for ranks R - 1, 3 R / 4, R / 2, R / 4, ... 1, in float64."""
    run, (x, labels) = load_run(folder), load_held_out(folder)
    params = {name: value.astype(np.float64) for name, value in run.params.items()}
    R = run.net.R
    ranks = sorted({R - 1, 3 * R // 4, *(R >> k for k in range(1, R.bit_length()))} - {0, R}, reverse=True)
    print(table(looseness(run.net, params, x.astype(np.float64), labels, ranks)))


if __name__ == "__main__":
    main(*sys.argv[1:])
