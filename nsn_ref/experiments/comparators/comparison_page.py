"""The page of `comparators`."""

import statistics

from nsn_ref.experiments.comparators.figure_page import figure
from nsn_ref.experiments.comparators.latency import ROWS
from nsn_ref.experiments.comparators.methods import KINDS, METHODS
from nsn_ref.experiments.experiment import Page
from nsn_ref.experiments.tables import at_ranks, choices, difference, interval, mean, percent, table, values

PAGE = """Data: {data}. Hidden widths {hidden}, {epochs} epochs, {splits} splits of a repeated stratified 5-fold
cross-validation. [Each method has a page](../comparators/index.md): its rule, its source, and what of it is ours.

Held equal are the data, the number of epochs, the batches, optimiser, learning rate and schedule, weight decay and
clipping; these were chosen for NSN and its specialists, not for each method. Held equal are the FLOPs of a prediction:
for every rank of NSN a method has a member of the same FLOPs, as nearly as a whole hidden width allows. Three methods
cannot have that. LoRA and DyLoRA: merged into the frozen layers, their adapters cost what the dense network does,
{dense:,} FLOPs at every rank. Matryoshka heads: the layers before the representation run whole, so that
the smallest budget costs {least:,} FLOPs; a budget is as many numbers of the representation as the rank. The cost of
the training is not held equal; a table below shows it.

{accuracy}

Accuracies on held-out rows, in percent, means over the splits.

![Accuracy against FLOPs and against the time of a prediction](comparators.png)

## Where NSN loses, and where it wins

NSN's accuracy minus the rival's, in percentage points, paired by split, with corrected resampled 95 % t-intervals
(Nadeau & Bengio, Machine Learning 52, 2003), not adjusted for their number.

{differences}

NSN loses where the interval lies wholly below zero, and wins where it lies wholly above:

{verdicts}

Against the rivals of equal FLOPs, NSN loses {lost}, wins {won} and ties {tied} of {pairs} pairs of rival and rank.

## What training and storage cost

A multiply-add is two FLOPs. A step is counted as three forward passes at every rank or width that it trains, as two
where weights are frozen. Stored are the numbers that must be kept to run at every budget. Seconds are of the whole
training, on one thread, with other cells running beside it.

{costs}

## Wall-clock of a prediction

Microseconds of one call, on one thread, with one row and with {rows}: the best of ten means, the median over the splits
and over the methods whose members have these shapes.

{latencies}

## What it means

At rank {smallest} NSN reaches {nsn:.1f} %, and the methods that narrow the hidden layers {narrow}: a layer of rank
{smallest} hands {smallest} number{plural} on, a dense one of its FLOPs {width}. A rank leaves the widths of all layers
as they are, so that pretrained layers can be cut, and some of them; where a network may be narrowed from the start,
that serves small budgets better {narrowed}.
"""


def page(records):
    """Accuracies, differences, costs and times."""
    first = records[0]
    ranks, methods = first["result"]["ranks"], choices(records, "method")
    budgets = range(len(ranks))
    accuracy = {m: [values(records, "accuracy", k, method=m) for k in budgets] for m in methods}
    flops = {m: next(iter(values(records, "flops", method=m).values())) for m in methods}
    rivals = [m for m in methods if m != "nsn"]
    to_nsn = {m: [difference(accuracy["nsn"][k], accuracy[m][k], 100) for k in budgets] for m in rivals}
    equal = [each for m in rivals if KINDS[METHODS[m].kind] for each in to_nsn[m]]
    lost, won = sum(each.high < 0 for each in equal), sum(each.low > 0 for each in equal)
    narrow = [100 * mean(accuracy[m][0]) for m in methods if METHODS[m].kind == "widths"]
    body = PAGE.format(
        data=first["data"],
        hidden="-".join(map(str, first["options"]["hidden"])),
        epochs=first["options"]["epochs"],
        splits=len({record["seed"] for record in records}),
        dense=next(flops[m][0] for m in methods if METHODS[m].kind == "adapters"),
        least=flops["matryoshka"][0],
        accuracy=_accuracy(ranks, accuracy, flops),
        smallest=ranks[0],
        plural="" if ranks[0] == 1 else "s",
        nsn=100 * mean(accuracy["nsn"][0]),
        narrow=f"{min(narrow):.1f} to {max(narrow):.1f} %",
        narrowed=at_ranks(_lost_to_all(ranks, to_nsn)),
        width=first["result"]["widths"][0],
        differences=_differences(ranks, to_nsn),
        verdicts="\n".join(_verdict(METHODS[m].label, ranks, to_nsn[m]) for m in rivals),
        lost=lost,
        won=won,
        tied=len(equal) - lost - won,
        pairs=len(equal),
        costs=_costs(records, methods),
        latencies=_latencies(records, ranks, flops),
        rows=ROWS,
    )
    percents = {m: [100 * mean(by_seed) for by_seed in each] for m, each in accuracy.items()}
    times = {m: [_microseconds(records, "batch", k, METHODS[m].kind) for k in budgets] for m in methods}
    costs = {"FLOPs of one row": flops, f"microseconds for {ROWS} rows": times}
    return Page(body, {"comparators.png": figure(percents, costs)})


def _accuracy(ranks, accuracy, flops):
    head = ["", *(f"rank {rank}" for rank in ranks), "mean"]
    rows = [["FLOPs of NSN", *(f"{each:,}" for each in flops["nsn"]), ""]]
    for name, each in accuracy.items():
        average = 100 * sum(map(mean, each)) / len(each)
        rows.append([METHODS[name].label, *map(percent, each), f"{average:.1f}"])
    return table(head, rows)


def _differences(ranks, to_nsn):
    head = ["NSN minus", *(f"rank {rank}" for rank in ranks)]
    return table(head, [[METHODS[name].label, *map(interval, each)] for name, each in to_nsn.items()])


def _lost_to_all(ranks, to_nsn):
    """The ranks at which NSN loses to every method that narrows all hidden layers."""
    narrow = [each for name, each in to_nsn.items() if METHODS[name].kind == "widths"]
    return [rank for k, rank in enumerate(ranks) if all(each[k].high < 0 for each in narrow)]


def _verdict(label, ranks, differences):
    at = list(zip(ranks, differences, strict=True))
    loses, wins = at_ranks(r for r, each in at if each.high < 0), at_ranks(r for r, each in at if each.low > 0)
    return f"- {label}: NSN loses {loses}, wins {wins}"


def _costs(records, methods):
    def once(name, entry):
        return mean(values(records, entry, method=name))

    rows = []
    for name in methods:
        seconds = [record["seconds"]["training"] for record in records if record["options"]["method"] == name]
        training = once(name, "training_flops")
        rows.append([
            METHODS[name].label, f"{training / 1e9:.1f}", f"{training / once('nsn', 'training_flops'):.2f}",
            f"{once(name, 'stored'):,.0f}", f"{statistics.median(seconds):.1f}",
        ])  # fmt: skip
    return table(["", "training, 1e9 FLOPs", "relative to NSN", "numbers stored", "seconds of training"], rows)


def _latencies(records, ranks, flops):
    head = ["rank", "FLOPs", *(f"{what}, {size}" for what in ("nested", "dense") for size in ("1 row", f"{ROWS} rows"))]
    rows = []
    for k, rank in enumerate(ranks):
        times = [_microseconds(records, size, k, kind) for kind in ("ranks", "widths") for size in ("row", "batch")]
        rows.append([rank, f"{flops['nsn'][k]:,}", *(f"{each:.1f}" for each in times)])
    return table(head, rows)


def _microseconds(records, size, k, kind):
    """Median over the methods of a kind, whose members have the same shapes, and over their seeds."""
    return 1e6 * statistics.median(
        record["seconds"][size][k] for record in records if METHODS[record["options"]["method"]].kind == kind
    )
