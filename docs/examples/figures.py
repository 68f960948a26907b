"""The figures of the worked examples: python docs/examples/figures.py writes them beside the pages.

Each function returns a figure whose lines carry the page's own numbers. They read without colour: every line has its
own marker and dash pattern.
"""

import json
from pathlib import Path

import numpy as np

from nsn_ref import MLP
from nsn_ref.analysis.cost import Layer, break_even_rank, dense_cost, layer_cost
from nsn_ref.analysis.energy import tail_energies
from nsn_ref.golden import suite
from nsn_ref.golden.locate import suite_dir
from nsn_ref.ops import objective_backward, objective_forward, softmax_cross_entropy_forward

FOLDER = Path(__file__).parent
BLUE, RED, GREEN, GREY = "#0b3c6f", "#b4460f", "#3c7d3c", "#777777"


def suffix_sum():
    """Which component serves which of the ranks 5, 3 and 2."""
    ranks, R = (5, 3, 2), 5
    figure, axes = _figure(6.4, 3.4)
    for row, rank in enumerate(ranks):
        for i in range(1, R + 1):
            style = {"facecolor": "#d5e0ee", "hatch": "//"} if i <= rank else {"facecolor": "white"}
            axes.add_patch(_square(i, -row, edgecolor=BLUE, linewidth=0.8, **style))
            if i <= rank:
                box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
                axes.text(i, -row, f"$b_{i} h_{i}$", ha="center", va="center", bbox=box)
        axes.text(0.35, -row, f"rank {rank}", ha="right", va="center")
        axes.text(R + 1.1, -row, f"$y_{rank}$", ha="left", va="center", fontsize=12)
        _arrow(axes, (R + 0.55, -row), (R + 1.05, -row))
    for i in range(1, R + 1):
        axes.text(i, 0.7, f"$i = {i}$", ha="center", va="center")
        served = [f"dy_{rank}" for rank in ranks if rank >= i]
        axes.text(i, -3.1, f"$D_{i} =$\n$" + "$\n$+ ".join(served) + "$", ha="center", va="top", fontsize=9)
        _arrow(axes, (i, -2.55), (i, -3.05))
    axes.text(R + 1.1, 0.7, "forwards", ha="left", va="center", style="italic")
    axes.text(0.35, -3.3, "backwards", ha="right", va="center", style="italic")
    axes.set(xlim=(-0.9, R + 2.2), ylim=(-4.6, 1.0))
    axes.axis("off")
    return figure


def weights_against_losses():
    """The weight of a loss at the optimum over s, for the three objectives with learned s."""
    losses = 2.0 ** np.arange(-3, 4)
    optimum = {
        "uncertainty": ("Eq. 3: 1 / L", losses),
        "classification": ("classification: 1 / (2 L)", 2 * losses),
        "bounded": ("bounded: 1 / (2 v)", (losses + np.sqrt(losses**2 + 8 * losses)) / 4),
    }
    figure, axes = _figure(6.4, 4.0)
    for (variant, (label, exp_s)), style in zip(optimum.items(), _styles(), strict=False):
        weights = []
        for loss, s in zip(losses, np.log(exp_s), strict=True):
            _, saved = objective_forward(np.array([loss]), np.array([s]), (1,), variant=variant)
            weights.append(objective_backward(1.0, saved)[0][0])
        axes.plot(losses, weights, label=label, **style)
    for loss, weight in ((4, "1/4"), (1, "1"), (0.25, "4")):
        axes.annotate(f"weight {weight}", (loss, 1 / loss), xytext=(8, 6), textcoords="offset points", fontsize=9)
    ticks = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8]
    labels = ["1/8", "1/4", "1/2", "1", "2", "4", "8"]
    axes.set(xscale="log", yscale="log", xlabel="loss L of a rank", ylabel="its weight at the optimum")
    axes.set_xticks(ticks, labels, minor=False)
    axes.set_yticks(ticks, labels, minor=False)
    axes.minorticks_off()
    axes.legend()
    return figure


def images_in_the_plane():
    """Im(W_1) and Im(W_2) of the counterexample to Definition 2, and where the input (2, 0) goes."""
    A, B = np.array([[1.0, 0.0], [1.0, 0.0]]), np.eye(2)
    x = np.array([2.0, 0.0])
    figure, axes = _figure(4.4, 4.2)
    for rank, dash, marker, color, label, point in (
        (1, "-", "o", BLUE, (-3.0, 0.2), (1.4, -0.55)),
        (2, "--", "s", RED, (-2.1, -2.9), (-0.35, 2.0)),
    ):
        W = B[:, :rank] @ A[:rank]
        ends = np.outer([-1.6, 1.6], W @ x)
        axes.plot(*ends.T, dash, color=color, linewidth=1.8)
        axes.text(*label, rf"$\mathrm{{Im}} \, W_{rank}$", fontsize=12, color=color)
        axes.plot(*W @ x, marker, color=color, markersize=8)
        axes.text(*point, f"$W_{rank} x$ = ({W[0] @ x:g}, {W[1] @ x:g})")
    _arrow(axes, (2, 0.12), (2, 1.86))
    axes.text(2.1, 0.9, "$b_2 (a_2 x)$", fontsize=9.5, va="center")
    axes.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), aspect="equal", xlabel="first output", ylabel="second output")
    return figure


def bound_against_difference():
    """Measured difference of the loss to that at rank R on the digits model, and bounds on it, at every rank below."""
    case = next(case for case in suite.load(suite_dir()) if case.id == "mlp_step/f64/digits-001")
    params = {name.removeprefix("param."): value for name, value in case.inputs.items() if name.startswith("param.")}
    x, labels = case.inputs["x"], case.inputs["targets"]
    A, B, W = (params[f"layers.{name}"] for name in ("0.A", "0.B", "1.W"))
    net, R = MLP((64, 23, 10), R=11), 11
    logits = [net.forward(params, x, r)[0] for r in range(1, R + 1)]
    losses = np.array([softmax_cross_entropy_forward(z, labels)[0] for z in logits])
    outside = np.sqrt(2) * np.linalg.norm(W, 2)
    ranks = np.arange(1, R)
    lines = {
        "bound by energies": outside * tail_energies(A, B)[:-1] * np.linalg.norm(x, axis=1).mean(),
        "bound by data": [outside * (np.abs(x @ A[r:].T) @ np.linalg.norm(B[:, r:], axis=0)).mean() for r in ranks],
        "through the logits": [np.sqrt(2) * np.linalg.norm(logits[r - 1] - logits[-1], axis=1).mean() for r in ranks],
        "measured": np.abs(losses - losses[-1])[:-1],
    }
    figure, axes = _figure(6.4, 4.2)
    for (label, values), style in zip(lines.items(), _styles(), strict=False):
        axes.plot(ranks, values, label=label, **style)
    axes.set(yscale="log", xlabel="rank r", ylabel="difference of the loss to rank 11", xticks=ranks)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def cost_against_rank():
    """Multiply-adds of a layer from 12 inputs to 6 outputs."""
    layer = Layer(d_in=12, d_out=6, R=6)
    ranks = range(1, 7)
    dense = dense_cost([layer]).multiply_adds
    figure, axes = _figure(6.4, 3.8)
    for (label, cached), style in zip({"factors": False, "cached product": True}.items(), _styles(), strict=False):
        costs = [layer_cost(layer, r, cached=cached).multiply_adds for r in ranks]
        if cached:
            style |= {"markersize": 9, "fillstyle": "none"}  # around the points of the line below
        axes.plot(ranks, costs, label=label, **style)
    axes.axhline(dense, color="black", linestyle=":", linewidth=1.2, label="dense")
    where = break_even_rank(12, 6)
    axes.annotate(
        f"break-even at rank {where:g}", (where, dense), xytext=(-10, -44), textcoords="offset points",
        arrowprops={"arrowstyle": "->"}, ha="left",
    )  # fmt: skip
    axes.set(xlabel="rank r", ylabel="multiply-adds for one input", ylim=(0, None), yticks=range(0, 109, 18))
    axes.legend()
    return figure


FIGURES = {
    "03-suffix-sum.svg": suffix_sum,
    "04-objective.svg": weights_against_losses,
    "05-not-nested.svg": images_in_the_plane,
    "07-interpolation-bound.svg": bound_against_difference,
    "08-cost.svg": cost_against_rank,
}


def content(figure):
    """What a figure shows, apart from how fonts and renderers draw it: the numbers of its lines, and its texts."""
    axes = figure.axes[0]
    lines = [[list(map(float, values)) for values in line.get_data()] for line in axes.lines]
    return {"lines": lines, "texts": [text.get_text() for text in axes.texts]}


def write(figure, path):
    """As SVG with the letters as outlines, and the figure's content in its metadata."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(path, metadata={"Date": None, "Creator": None, "Description": json.dumps(content(figure))})


def _figure(width, height):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _styles():
    for marker, dash, color in zip("osD^", ["-", "--", "-.", ":"], [BLUE, RED, GREEN, GREY], strict=True):
        yield {"marker": marker, "linestyle": dash, "color": color, "markersize": 5, "linewidth": 1.5}


def _square(x, y, **style):
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.5, y - 0.5), 1, 1, **style)


def _arrow(axes, start, end):
    axes.annotate("", end, xytext=start, arrowprops={"arrowstyle": "->", "linewidth": 1.2})


if __name__ == "__main__":
    for name, draw in FIGURES.items():
        write(draw(), FOLDER / name)
