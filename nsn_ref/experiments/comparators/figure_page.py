"""The figure of `comparators`: a column of panels for each kind of budget, NSN in every one of them."""

from nsn_ref.analysis.plots import COLOURS, STYLES
from nsn_ref.experiments.comparators.methods import METHODS

COLUMNS = {  # title to kinds of methods
    "budgets are ranks": ("ranks",),
    "budgets are hidden widths": ("widths",),
    "budgets are of one layer, or of adapters": ("bottleneck", "representation", "adapters"),
}
PER_CENT = (20, 50, 80, 90, 95, 98, 99)


def figure(accuracy, costs):
    """A row of panels for each cost of a prediction, accuracy against it.

    Parameters
    ----------
    accuracy : dict of str to list
        By method, for each budget; in percent.
    costs : dict of str to dict
        Label of an axis to what `accuracy` stands over.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(13, 9), dpi=110, layout="constrained")
    panels = drawn.subplots(len(costs), len(COLUMNS), sharey=True, sharex="row")
    for row, (label, cost) in zip(panels, costs.items(), strict=True):
        for axes, (title, kinds) in zip(row, COLUMNS.items(), strict=True):
            rivals = [name for name in accuracy if METHODS[name].kind in kinds and name != "nsn"]
            for i, name in enumerate(["nsn", *rivals]):
                _draw(axes, i, cost[name], accuracy[name], METHODS[name].label)
            axes.set(xlabel=label, title=title)
            axes.grid(color="#dddddd", linewidth=0.6)
            axes.set_axisbelow(True)
        row[0].set(ylabel="accuracy on held-out rows (%)")
        _cost_scale(row[0])
    for axes in panels[-1]:  # below, where it hides no line
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)
    _error_scale(panels[0, 0], [100 - value for each in accuracy.values() for value in each])
    return drawn


def _draw(axes, i, x, y, label):
    """NSN is the first line, thick and black; accuracies are drawn as errors."""
    marker, dash = STYLES[i % len(STYLES)]
    errors, nsn = [100 - value for value in y], i == 0
    axes.plot(
        x, errors, marker=marker, linestyle=dash, markersize=6 if nsn else 5, linewidth=2.2 if nsn else 1.2,
        color="black" if nsn else COLOURS[i % len(COLOURS)], label=label, zorder=1 if nsn else 2,
        markerfacecolor="black" if nsn else "white",
    )  # fmt: skip


def _cost_scale(axes):
    """Logarithmic, with numbers that are easy to read."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _error_scale(axes, errors):
    """Errors on a logarithmic axis that points down, labelled as accuracies; linear below 1 %, for 0 is possible."""
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(1.1 * max(errors), 0.8 * min(errors))
    axes.yaxis.set_major_locator(FixedLocator([100 - value for value in PER_CENT]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda error, _: f"{100 - error:.0f}")
