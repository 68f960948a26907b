"""The page of `cost`."""

import statistics

from nsn_ref.analysis.plots import draw_line, new_figure
from nsn_ref.experiments.experiment import Page
from nsn_ref.experiments.paper.cost import ROWS
from nsn_ref.experiments.paper.recipe import SETTINGS
from nsn_ref.experiments.tables import table

HEAD = ["rank", "FLOPs / dense", "inference", "/ dense", "multiplied out", "/ dense", "step at this rank", "/ dense"]
PAGE = """Medians over {seeds} repetitions, milliseconds. Inference takes {rows} rows; "multiplied out" runs W_r in
place of its factors from the break-even rank on. A step trains on {batch} rows at one rank alone and takes the
operations one by one, as does the dense network. FLOPs are those of a row forward, relative to the dense network. Other
work on the machine shows in these numbers.

{sections}

![Seconds against FLOPs](cost.png)

## What it means

FLOPs are not time: at rank {lowest} inference takes {inference}. A step of training at that rank takes {steps} of a
dense one.
"""
SECTION = """## {widths}, R = {R}

{table}

The dense network takes {inference:.3f} ms for inference and {dense:.3f} ms for a step. A step of Eq. 3, at R and one
variant, takes {nested:.3f} ms: {to_dense:.2f} times the dense one, {to_alone:.2f} times that at R alone, and
{to_all:.2f} times one step of each of the {count} specialists; compiled it takes {compiled:.3f} ms. Inference from
factors is faster than the dense network up to rank {faster}; by FLOPs it would be up to rank {cheaper}."""


def page(records):
    """A section for each network."""
    networks = list(dict.fromkeys((tuple(r["options"]["hidden"]), r["options"]["R"]) for r in records))
    measured = {network: _measured(records, *network) for network in networks}
    body = PAGE.format(
        seeds=len({record["seed"] for record in records}), rows=ROWS, batch=SETTINGS["batch_size"],
        **_at_lowest(measured),
        sections="\n\n".join(_section(*network, *measured[network]) for network in networks),
    )  # fmt: skip
    return Page(body, {"cost.png": _figure(measured)})


def _measured(records, hidden, R):
    """FLOPs, and milliseconds of inference, of the same multiplied out, and of a step; by rank or name."""
    chosen = [r for r in records if (tuple(r["options"]["hidden"]), r["options"]["R"]) == (hidden, R)]
    kinds = (
        {"what": "inference", "multiply_out": False},
        {"what": "inference", "multiply_out": True},
        {"what": "training"},
    )
    each = []
    for kind in kinds:
        found = [r["seconds"] for r in chosen if kind.items() <= r["options"].items()]
        each.append({name: 1000 * statistics.median(seconds[name] for seconds in found) for name in found[0]})
    return chosen[0]["result"]["flops"], *each


def _section(hidden, R, flops, inference, multiplied, step):
    ranks = [name for name in flops if name != "dense"]
    rows = [
        [r, f"{flops[r] / flops['dense']:.2f}", *_cells(r, inference), *_cells(r, multiplied), *_cells(r, step)]
        for r in ranks
    ]
    return SECTION.format(
        widths="-".join(map(str, hidden)),
        R=R,
        table=table(HEAD, rows),
        inference=inference["dense"],
        dense=step["dense"],
        nested=step["nested"],
        compiled=step["nested, compiled"],
        to_dense=step["nested"] / step["dense"],
        to_alone=step["nested"] / step[ranks[-1]],
        to_all=step["nested"] / sum(step[r] for r in ranks),
        count=len(ranks),
        faster=_last_below(ranks, inference),
        cheaper=_last_below(ranks, flops),
    )


def _at_lowest(measured):
    """Of every network, what the lowest rank takes relative to dense."""
    inference, steps = [], []
    for (hidden, _), (flops, passes, _, step) in measured.items():
        lowest, widths = next(iter(flops)), "-".join(map(str, hidden))
        share = flops[lowest] / flops["dense"]
        time = passes[lowest] / passes["dense"]
        inference.append(f"{time:.2f} of the dense time at {share:.2f} of its FLOPs ({widths})")
        steps.append(f"{step[lowest] / step['dense']:.2f} ({widths})")
    return {"lowest": lowest, "inference": ", ".join(inference), "steps": ", ".join(steps)}


def _cells(rank, times):
    return f"{times[rank]:.3f}", f"{times[rank] / times['dense']:.2f}"


def _last_below(ranks, amounts):
    """The largest of the ranks up to which all take less than dense."""
    below = "none"
    for r in ranks:
        if amounts[r] >= amounts["dense"]:
            break
        below = r
    return below


def _figure(measured):
    figure, axes = new_figure("Time relative to the dense network against FLOPs relative to it")
    lines = (("inference", 1), ("step at one rank", 3))
    for i, ((hidden, _), each) in enumerate(measured.items()):
        flops = each[0]
        ranks = [name for name in flops if name != "dense"]
        for j, (label, at) in enumerate(lines):
            times = [each[at][r] / each[at]["dense"] for r in ranks]
            draw_line(
                axes,
                [flops[r] / flops["dense"] for r in ranks],
                times,
                2 * i + j,
                f"{'-'.join(map(str, hidden))}: {label}",
            )
    ends = [0.01, 2]
    axes.plot(ends, ends, color="black", linewidth=0.6, label="time in proportion to FLOPs")
    axes.set(xscale="log", yscale="log", xlabel="FLOPs / dense", ylabel="time / dense")
    axes.legend(fontsize=8)
    return figure
