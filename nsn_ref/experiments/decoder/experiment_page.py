"""The page of `decoder`."""

import math
import statistics

from nsn_ref.analysis.plots import draw_line, new_figure
from nsn_ref.experiments.experiment import Page
from nsn_ref.experiments.tables import at_ranks, table

PAGE = """A byte-level decoder of the form of Qwen2 with {parameters:,} parameters (width {hidden}, {blocks} blocks,
context {context}) is trained for {steps} steps of {batch_size} windows on the first nine tenths of the text `{data}`
({trained_bytes:,} bytes; the text's sha256 is `{sha256}`). Its perplexity per byte on {held_out_bytes:,} bytes of the
last tenth is {plain}.

Then layers are factorised with all their components by `nsn-ref adapt`: by the SVD of their weights (the paper's), or
whitened, for the smallest error of their outputs on {calibration} windows of the training text. Cut to rank r they are
"truncated". "Fine-tuned" is the same decoder after {fine_tuning} steps under Eq. 3 of arXiv:2509.17874v1, each at rank
{R} and at one drawn from {variants}; the other ranks are never trained. The plain decoder, trained for as many steps
more, reaches {continued}.

Numbers are means over {seeds}. The share is that of the plain decoder's FLOPs per token, counted over the whole model
as in the paper's Fig. 7; from its break-even rank on a layer counts as the product W_r. The paper prints no
perplexities.

## Truncation and fine-tuning, MLP layers nested

{curves}

![Perplexity against FLOPs](decoder.png)

Truncated, the whitened decoder has the lower perplexity {whitened_cut}, of the {below} ranks below {R}; fine-tuned,
{whitened_tuned}. Fine-tuning lowers that of the whitened decoder {tuned_better}.

## MLP layers alone, or attention too

{layers}

Whitened and fine-tuned. At equal ranks a decoder with nested attention costs less, so they are to be compared at equal
shares, as in the figure.

## One rank for all layers, or a rank for each

{allocation}

An allocation costs at most what the uniform rank beside it costs. It is found by dynamic programming over how much the
loss on the calibration windows grows when one layer alone is cut; each budget's ranks are at least those of the smaller
one. It is found before fine-tuning, and fine-tuning is at uniform ranks. Allocated ranks have the lower perplexity
{allocated_cut} when truncated, {allocated_tuned} when fine-tuned.

## Wall-clock

{clock}

Microseconds per token on one thread, medians of five turns and over the trainings: reading 8 windows at once; writing
one token after the other, with a cache of keys and values. At every rank both factors are run; "plain" is the decoder
before surgery. Rank {low} reads in {read_share} of the plain decoder's time and writes in {write_share} of it, at
{low_share} of its FLOPs.

## What it means

Cutting has its price: at rank {low}, {low_share} of the FLOPs, the whitened decoder has the perplexity {low_cut} as it
is and {low_tuned} after fine-tuning, where the plain one that was trained as long has {continued}. Whitened factors, a
rank for each layer and nested attention cost nothing when the decoder runs; the tables say where they pay.

## Samples

Temperature 0.8, from the 40 most likely bytes, seed {seed}; whitened and fine-tuned, MLP layers nested. The prompt:

{prompt}

{samples}
"""


def page(records):
    """Perplexities by model and rank, costs and samples."""
    options, first = records[0]["options"], records[0]["result"]
    ranks, R = first["ranks"], options["trained"][-1]
    below = [i for i, r in enumerate(ranks) if r < R]
    models = {name: _by_kind(records, name) for name in ("MLP, SVD", "MLP, whitened", "MLP + attention, whitened")}
    svd, whitened, both = models.values()
    allocation = _allocation(records)
    clock = {what: _seconds(records, what) for what in ("reading", "writing")}
    low = options["trained"][0]
    body = PAGE.format(
        **options["sizes"] | options,
        parameters=first["parameters"],
        data=records[0]["data"],
        sha256=first["sha256"],
        trained_bytes=first["bytes"][0],
        held_out_bytes=first["bytes"][1],
        plain=_shown(record["result"]["plain"] for record in records),
        continued=_shown(record["result"]["plain, continued"] for record in records),
        R=R,
        variants=", ".join(map(str, options["trained"][:-1])),
        seeds="one training" if len(records) == 1 else f"{len(records)} trainings of their own seeds, with the range",
        curves=_table(ranks, {"SVD": svd, "whitened": whitened}),
        whitened_cut=at_ranks(ranks[i] for i in below if _lower(whitened, svd, "truncated", i)),
        whitened_tuned=at_ranks(ranks[i] for i in below if _lower(whitened, svd, "fine-tuned", i)),
        below=len(below),
        tuned_better=at_ranks(
            r for i, r in enumerate(ranks) if _mean(whitened["fine-tuned"][i]) < _mean(whitened["truncated"][i])
        ),
        layers=table(
            ["rank", "share, MLP", "MLP", "share, MLP + attention", "MLP + attention"],
            [
                [
                    r,
                    _share(whitened, i),
                    _shown(whitened["fine-tuned"][i]),
                    _share(both, i),
                    _shown(both["fine-tuned"][i]),
                ]
                for i, r in enumerate(ranks)
            ],
        ),
        allocation=_allocation_table(allocation, whitened, ranks),
        allocated_cut=at_ranks(allocation["ranks"][i] for i in _wins(allocation, whitened, ranks, "truncated")),
        allocated_tuned=at_ranks(allocation["ranks"][i] for i in _wins(allocation, whitened, ranks, "fine-tuned")),
        clock=table(
            ["rank", "share of FLOPs", "reading, us", "writing, us"],
            [
                [
                    name,
                    "100 %" if name == "plain" else _share(whitened, ranks.index(int(name))),
                    f"{1e6 * clock['reading'][name]:.1f}",
                    f"{1e6 * clock['writing'][name]:.0f}",
                ]
                for name in (*map(str, options["trained"]), "plain")
            ],
        ),
        low=low,
        low_share=_share(whitened, ranks.index(low)),
        low_cut=_shown(whitened["truncated"][ranks.index(low)]),
        low_tuned=_shown(whitened["fine-tuned"][ranks.index(low)]),
        read_share=_percent(clock["reading"][str(low)] / clock["reading"]["plain"]),
        write_share=_percent(clock["writing"][str(low)] / clock["writing"]["plain"]),
        seed=records[0]["seed"],
        prompt=_quoted(first["samples"]["prompt"]),
        samples="\n\n".join(
            f"Rank {r}:\n\n{_quoted(first['samples'][str(r)])}" for r in ranks if str(r) in first["samples"]
        ),
    )
    return Page(body, {"decoder.png": _figure(models, allocation, records)})


def _by_kind(records, name):
    """Of one model: its shares, and lists of losses over the seeds at every rank, by kind."""
    each = [record["result"]["models"][name] for record in records]
    kinds = {kind: list(zip(*(model[kind] for model in each), strict=True)) for kind in ("truncated", "fine-tuned")}
    return kinds | {"shares": each[0]["shares"]}


def _allocation(records):
    each = [record["result"]["allocation"] for record in records]
    kinds = {
        kind: list(zip(*(one[kind] for one in each), strict=True)) for kind in ("truncated", "fine-tuned", "shares")
    }
    return kinds | {"ranks": each[0]["ranks"]}


def _seconds(records, what):
    each = [record["seconds"][what] for record in records]
    return {name: statistics.median(seconds[name] for seconds in each) for name in each[0]}


def _table(ranks, models):
    kinds = ("truncated", "fine-tuned")
    head = ["rank", "share of FLOPs", *(f"{name}, {kind}" for kind in kinds for name in models)]
    shares = next(iter(models.values()))
    rows = [
        [r, _share(shares, i), *(_shown(model[kind][i]) for kind in kinds for model in models.values())]
        for i, r in enumerate(ranks)
    ]
    return table(head, rows)


def _allocation_table(allocation, uniform, ranks):
    kinds = ("truncated", "fine-tuned")
    head = ["uniform rank", "its share", "share allocated"]
    head += [f"{which}, {kind}" for kind in kinds for which in ("uniform", "allocated")]
    rows = []
    for i, r in enumerate(allocation["ranks"]):
        at = ranks.index(r)
        row = [r, _share(uniform, at), _percent(_mean(allocation["shares"][i]))]
        rows.append(row + [_shown(which) for kind in kinds for which in (uniform[kind][at], allocation[kind][i])])
    return table(head, rows)


def _wins(allocation, uniform, ranks, kind):
    """Where allocated ranks have the lower mean loss."""
    for i, r in enumerate(allocation["ranks"]):
        if _mean(allocation[kind][i]) < _mean(uniform[kind][ranks.index(r)]):
            yield i


def _figure(models, allocation, records):
    figure, axes = new_figure("Perplexity against FLOPs of the whole model")
    lines = [(name, kind) for name in models for kind in ("truncated", "fine-tuned")]
    for i, (name, kind) in enumerate(lines):
        model = models[name]
        draw_line(axes, model["shares"], [_perplexity(losses) for losses in model[kind]], i, f"{name}, {kind}")
    shares = [_mean(each) for each in allocation["shares"]]
    allocated = [_perplexity(losses) for losses in allocation["fine-tuned"]]
    draw_line(axes, shares, allocated, len(lines), "MLP, whitened, fine-tuned, allocated ranks")
    plain = _perplexity([record["result"]["plain, continued"] for record in records])
    axes.axhline(plain, color="black", linewidth=0.8, linestyle=":", label="plain, trained as long")
    axes.set(xlabel="share of the plain decoder's FLOPs", ylabel="perplexity per byte, held-out text", yscale="log")
    axes.legend(fontsize=7)
    return figure


def _lower(one, other, kind, i):
    return _mean(one[kind][i]) < _mean(other[kind][i])


def _mean(values):
    values = list(values)
    return sum(values) / len(values)


def _perplexity(losses):
    return math.exp(_mean(losses))


def _shown(losses):
    """The mean perplexity, and its range over several seeds."""
    losses = list(losses)
    text = f"{_perplexity(losses):.3f}"
    return text if len(losses) == 1 else f"{text} ({math.exp(min(losses)):.3f}-{math.exp(max(losses)):.3f})"


def _share(model, i):
    return _percent(model["shares"][i])


def _percent(share):
    return f"{100 * share:.0f} %"


def _quoted(text):
    return "\n".join(f"    {line}" for line in text.splitlines())
