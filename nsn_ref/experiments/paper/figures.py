"""Figures that several pages draw; they read in black and white."""

from nsn_ref.analysis.plots import COLOURS, STYLES, draw_line, new_figure


def against_rank(title, lines, ylabel):
    """One line for each entry of `lines`, label to (dict of rank to value), over a logarithmic axis of ranks."""
    figure, axes = new_figure(title)
    for i, (label, by_rank) in enumerate(lines.items()):
        draw_line(axes, list(by_rank), list(by_rank.values()), i, label)
    rank_axis(axes)
    axes.set(ylabel=ylabel)
    axes.legend(fontsize=8)
    return figure


def rank_axis(axes):
    """Ranks on the horizontal axis, each doubling of one length."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set(xlabel="rank r")


def dots(title, rows, xlabel):
    """One line of dots for each row of a table: `rows` is label to (dict of column to value)."""
    figure, axes = new_figure(title)
    columns = list(next(iter(rows.values())))
    for i, column in enumerate(columns):
        shown, heights = [row[column] for row in rows.values()], [-k for k in range(len(rows))]
        face = COLOURS[i] if i % 2 == 0 else "white"
        axes.plot(shown, heights, STYLES[i][0], color=COLOURS[i], markerfacecolor=face, markersize=6, label=column)
    axes.set_yticks([-k for k in range(len(rows))], list(rows), fontsize=8)
    axes.set(xlabel=xlabel)
    figure.legend(fontsize=8, loc="outside lower center", ncols=len(columns))
    return figure
