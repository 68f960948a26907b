"""A record as a figure: a panel for each benchmark that has a curve. It reads in black and white."""

import io

from nsn_ref.analysis.plots import COLOURS, STYLES
from nsn_ref.bench import sweeps
from nsn_ref.bench.statistics import spread

PANELS = ("step", *sweeps.SWEEPS)


def figure(record):
    """PNG bytes of the benchmarks among `PANELS`; the record has at least one."""
    from matplotlib.figure import Figure

    names = [name for name in PANELS if name in record["benchmarks"]]
    columns = min(len(names), 2)
    rows = -(-len(names) // columns)
    image = Figure(figsize=(6.4 * columns, 4.2 * rows), dpi=110, layout="constrained")
    panels = list(image.subplots(rows, columns, squeeze=False).flat)
    for name, axes in zip(names, panels, strict=False):
        (draw_step if name == "step" else draw_sweep)(axes, record["benchmarks"][name])
    for axes in panels[len(names) :]:
        axes.axis("off")
    buffer = io.BytesIO()
    image.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def draw_step(axes, record):
    """Milliseconds of a step by network, with ranges."""
    cells = record["cells"]
    names = [name for name in cells[0]["engines"] if name != "products"]
    _draw(axes, range(len(cells)), {name: [cell["engines"][name]["ms"] for cell in cells] for name in names})
    axes.set_xticks(range(len(cells)), [cell["name"].replace(" (", "\n(") for cell in cells], fontsize=8)
    axes.set(title="A training step", ylabel="ms", yscale="log")
    axes.legend(fontsize=8)


def draw_sweep(axes, record):
    """Milliseconds of a step along the axis; logarithmic where no line is fitted."""
    sweep, points = sweeps.SWEEPS[record["sweep"]], record["points"]
    names = points[0]["engines"]
    _draw(axes, [p["x"] for p in points], {name: [p["engines"][name]["ms"] for p in points] for name in names})
    axes.set(title=sweep.title, xlabel=sweep.axis, ylabel="ms")
    if sweep.linear:
        axes.set_ylim(bottom=0)
    else:
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter("{x:.0f}")
    axes.legend(fontsize=8)


def _draw(axes, x, times):
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for i, (name, each) in enumerate(times.items()):
        middle, low, high = zip(*map(spread, each), strict=True)
        marker, dash = STYLES[i]
        below = [m - b for m, b in zip(middle, low, strict=True)]
        above = [a - m for m, a in zip(middle, high, strict=True)]
        axes.errorbar(
            x, middle, [below, above],
            marker=marker, linestyle=dash, color=COLOURS[i], label=name, capsize=2, markersize=4, linewidth=1.3,
        )  # fmt: skip
