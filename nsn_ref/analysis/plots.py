"""Figures as PNG bytes. Every line has its own marker and dash pattern, so that they read in black and white."""

import io

STYLES = tuple(zip("osD^vPX*<>", ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1))] * 2, strict=False))
COLOURS = ("#0b3c6f", "#b4460f", "#3c7d3c", "#7a3b8f", "#8a6d00", "#444444", "#008080", "#a01846", "#5a5a9a", "#777777")


def accuracy_against_flops(rows, title):
    """Accuracy of every rank against its FLOPs; the ranks that training has seen are filled and numbered.

    Parameters
    ----------
    rows : list of FrontierRow
    title : str

    Returns
    -------
    bytes
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    figure, axes = new_figure(title)
    x, y = [row.flops for row in rows], [100 * row.accuracy for row in rows]
    axes.plot(x, y, "-", color="#999999", linewidth=1, zorder=1)
    for trained, label, face in ((True, "trained ranks", COLOURS[0]), (False, "untrained ranks", "white")):
        chosen = [i for i, row in enumerate(rows) if row.trained is trained]
        points = [x[i] for i in chosen], [y[i] for i in chosen]
        size = 44 if trained else 18
        axes.scatter(*points, s=size, facecolor=face, edgecolor=COLOURS[0], zorder=3 if trained else 2, label=label)
    for row in rows:
        if row.trained:
            where = (row.flops, 100 * row.accuracy)
            axes.annotate(str(row.rank), where, xytext=(0, 8), textcoords="offset points", ha="center", fontsize=8)
    dense = rows[-1].flops / rows[-1].dense_share
    axes.axvline(dense, color="black", linestyle=":", linewidth=1, label="the same network, dense")
    axes.set(xscale="log", xlabel="FLOPs for one example", ylabel="accuracy (%)")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(y=0.1)
    axes.legend(loc="lower right")
    return png(figure)


def perplexity_against_flops(rows, title):
    """Perplexity of every rank of a decoder against its FLOPs; rows of budgets have markers of their own.

    Parameters
    ----------
    rows : list of DecoderRow
    title : str

    Returns
    -------
    bytes
    """
    figure, axes = new_figure(title)
    uniform = [row for row in rows if not row.rank.startswith("budget")]
    for i, (chosen, label) in enumerate(
        ((uniform, "one rank for all layers"), ([row for row in rows if row not in uniform], "ranks of a budget"))
    ):
        if chosen:
            draw_line(axes, [row.share for row in chosen], [row.perplexity for row in chosen], i, label)
    for row in uniform:
        where = (row.share, row.perplexity)
        axes.annotate(row.rank, where, xytext=(0, 8), textcoords="offset points", ha="center", fontsize=8)
    axes.axvline(1, color="black", linestyle=":", linewidth=1, label="the plain decoder")
    axes.set(yscale="log", xlabel="share of the plain decoder's FLOPs for one token", ylabel="perplexity")
    axes.margins(y=0.1)
    axes.legend(loc="upper right")
    return png(figure)


def log_variances(steps, s, ranks, title):
    """Learned log-variances over the training, for the ranks that it has seen (arXiv:2509.17874v1, Fig. 3).

    Parameters
    ----------
    steps : ndarray, shape (m,)
    s : ndarray, shape (m, R)
    ranks : sequence of int
        At most ten are drawn, spread evenly over the list.
    title : str

    Returns
    -------
    bytes
    """
    figure, axes = new_figure(title)
    for i, rank in enumerate(_spread(sorted(ranks), len(STYLES))):
        draw_line(axes, steps, s[:, rank - 1], i, f"rank {rank}")
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set(xlabel="training step", ylabel=r"log-variance $s_r = \ln \sigma_r^2$")
    axes.legend(ncols=2, fontsize=8)
    return png(figure)


def component_energies(energies, title):
    """Energy of each component of each nested layer.

    Parameters
    ----------
    energies : dict of str to ndarray, shape (R,)
    title : str

    Returns
    -------
    bytes
    """
    figure, axes = new_figure(title)
    for i, (name, values) in enumerate(energies.items()):
        draw_line(axes, range(1, len(values) + 1), values, i, name)
    axes.set(xlabel="component i", ylabel=r"energy $\|b_i\| \, \|a_i\|$", yscale="log")
    axes.legend()
    return png(figure)


def new_figure(title):
    """A figure of one panel, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=11)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def draw_line(axes, x, y, i, label):
    """Draw the i-th line of a figure, in the i-th style; up to 16 of its points carry the marker."""
    marker, dash = STYLES[i % len(STYLES)]
    axes.plot(
        x, y, marker=marker, linestyle=dash, color=COLOURS[i % len(COLOURS)], label=label,
        markersize=4, linewidth=1.3, markevery=max(1, len(x) // 16),
    )  # fmt: skip


def _spread(items, count):
    if len(items) <= count:
        return items
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def png(figure):
    """A figure as PNG bytes; without what changes from one version of Matplotlib to the next."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
