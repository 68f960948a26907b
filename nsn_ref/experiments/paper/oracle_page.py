"""The page of `oracle`."""

import numpy as np

from nsn_ref.analysis.plots import draw_line, new_figure
from nsn_ref.experiments.experiment import Page
from nsn_ref.experiments.paper.oracle import D_IN, D_OUT, TRAININGS, R
from nsn_ref.experiments.tables import choices, table, values

PAGE = """One nested layer, {d_out} x {d_in} with R = {R}, is trained to give W x for white inputs x, {steps} steps,
mean over {seeds} draws of W, x and the start. Its loss at rank r is norm_F(W_r - W)^2 / {d_out}, at least the sum of
the squared singular values of W above the r-th (Eckart-Young). The truncated SVD reaches that at every rank at once, so
here no rank has to give way to another. Below is the excess, error / least error - 1: 0 where the best is found.

{table}

![Excess by rank](oracle.png)

Of its trained ranks each training is at most this far from the best: {worst}.

## What it means

Training at R and at 1, 2 or 4 settles
the space that each trained rank adds and no order within it: at the ranks that it never saw its excess is up to
{between:.1e}. Eq. 3 reaches {eq_3:.1e} where a plain sum, at every rank at every step, reaches {plain:.1e}: its weights
1 / L_k make a rank count by its relative error.
"""


def page(records):
    """Excess over Eckart-Young by training and rank."""
    names = choices(records, "training")
    ranks = list(range(1, R + 1))
    excess = {name: {r: _excess(records, name, r) for r in ranks} for name in names}
    worst = {name: max(abs(excess[name][r]) for r in ranks if _is_trained(name, r)) for name in names}
    rows = [[r, *(f"{excess[name][r]:.1e}" for name in names)] for r in ranks]
    partly = next(name for name in names if "variants" in TRAININGS[name])
    body = PAGE.format(
        d_in=D_IN, d_out=D_OUT, R=R, steps=records[0]["options"]["steps"],
        seeds=len({record["seed"] for record in records}),
        table=table(["rank", *names], rows),
        worst="; ".join(f"{worst[name]:.1e} ({name})" for name in names),
        between=max(excess[partly][r] for r in ranks if not _is_trained(partly, r)),
        eq_3=worst["every rank at every step, Eq. 3"],
        plain=worst["every rank at every step"],
    )  # fmt: skip
    figure, axes = new_figure("Excess over the best matrix of each rank")
    for i, name in enumerate(names):
        draw_line(axes, ranks, [max(excess[name][r], np.finfo(float).eps) for r in ranks], i, name)
    axes.set(xlabel="rank r", ylabel="excess, at least the spacing of float64", yscale="log")
    figure.legend(fontsize=8, loc="outside lower center", ncols=2)
    return Page(body, {"oracle.png": figure})


def _excess(records, name, rank):
    error, least = (values(records, kind, str(rank), training=name) for kind in ("error", "least"))
    return float(np.mean([error[seed] / least[seed] - 1 for seed in error]))


def _is_trained(name, rank):
    if TRAININGS[name]["curriculum"] == "anchor":
        return rank == R
    return rank == R or rank in TRAININGS[name].get("variants", range(1, R))
