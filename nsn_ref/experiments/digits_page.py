"""The digits experiment as a page of Markdown, in which every number is computed from the record."""

from nsn_ref.experiments.digits import FOLDS
from nsn_ref.experiments.digits_data import CLASSES, WIDTH
from nsn_ref.experiments.paper import printed

# those that the paper prints; its truncated model is not cut at R
PAPER = {
    "nested": printed.NESTED,
    "specialist": printed.SPECIALIST,
    "dense": printed.DENSE,
    "truncated": {rank: accuracy for rank, accuracy in printed.TRUNCATED.items() if rank < 64},
}


def page(record, rows):
    """The results as Markdown."""
    plan, environment = record["plan"], record["environment"]
    trained, untrained = ([row for row in rows if row.trained is flag] for flag in (True, False))
    cut = [row for row in trained if row.rank < plan["R"]]
    high, low = ([row for row in trained if (row.rank >= 4) is flag] for flag in (True, False))
    return PAGE.format(
        command=record["command"],
        widths="-".join(map(str, (WIDTH, *plan["hidden"], CLASSES))),
        R=plan["R"],
        rows=record["rows"],
        splits=len(record["splits"]),
        folds=FOLDS,
        **record["settings"],
        lr_s=record["nested"]["lr_s"],
        specialists=_table(trained, "specialist", record),
        specialists_paper=_paper("specialist", trained),
        dense_paper=_paper("dense", trained),
        truncated_paper=_paper("truncated", cut),
        sure=_ranks([row for row in high if row.difference["specialist"].low >= -1]),
        average_trained=_average(trained),
        average_untrained=_average(untrained),
        high=_ranks(high),
        near=_ranks([row for row in high if row.difference["specialist"].mean >= -1]),
        low="; ".join(f"{row.difference['specialist'].mean:+.1f} at rank {row.rank}" for row in low),
        dense=_table(trained, "dense", record),
        dense_better=_ranks([row for row in trained if row.difference["dense"].high < 0]),
        truncated=_table(cut, "truncated", record),
        nested_better=_ranks([row for row in cut if row.difference["truncated"].low > 0]),
        untrained=_table(untrained, "specialist", record),
        untrained_worse=_ranks([row for row in untrained if row.difference["specialist"].high < 0]),
        processor=environment["processor"],
        threads=max(pool["num_threads"] for pool in environment["blas"]),
        **environment["versions"],
    )


PAGE = """# Results on digits

<!-- Written by the command below; edit nsn_ref/experiments/digits_page.py instead. -->

    {command}

One nested network {widths} with R = {R} against its rivals on all {rows:,} scans of scikit-learn's digits: {splits}
splits, stratified {folds}-fold cross-validation repeated with new folds. Pixels are standardised by the training folds
alone. A step of the nested network trains two ranks under Eq. 3 of arXiv:2509.17874v1, the anchor R and a variant drawn
uniformly from the other trained ranks; a step of a rival trains one network at one rank.

Every model is trained for {epochs} epochs with AdamW: learning rate {lr}, batches of {batch_size}, weight decay
{weight_decay}, {warmup_steps} steps of warm-up, cosine schedule, gradients clipped at norm {clip}. The log-variances
have the learning rate {lr_s}. Settings were chosen on other folds of the same scans: those that all models share among
learning rates 0.001 to 0.04, weight decays 0.01 to 1 and 60 to 200 epochs, by the accuracies of nested network and
rivals together; all accuracies are somewhat optimistic for that.

Accuracies are means over the splits, in percent. Differences are nested minus rival, in percentage points, paired by
split, with corrected resampled 95 % t-intervals: splits share training rows, so the variance s^2 / J of a mean of J
differences is replaced by s^2 (1 / J + 1 / 4) (Nadeau & Bengio, Machine Learning 52, 2003). They are not adjusted for
the number of comparisons.

The paper's figures stand beside ours where it prints them. They are accuracies on other data (embeddings of CIFAR-10)
of a larger network (R = 64), without intervals. So neither accuracies nor differences at one rank are comparable; what
can be compared is whether the nested network keeps up with a rival, and from which rank on.

![Accuracy by rank, and paired differences](digits.png)

## Against specialists, at trained ranks

{specialists}

A specialist is a factorised network of one rank, trained alone at it (the paper's Fig. 2): the nested network stands in
for all of them with one set of weights. Of the ranks from 4 on ({high}), it is at most one point below the specialist
on average at {near}; the interval excludes a larger deficit at {sure}. Below rank 4 the difference is {low}.

{specialists_paper}

In the paper the nested network, whose figures are those of Fig. 4, falls behind its specialists at rank 2 only.

## Against dense networks of equal FLOPs

{dense}

A dense network has no factors, and hidden layers so narrow that its FLOPs are those of rank r (the paper's Fig. 4): it
is what the same arithmetic buys without nesting. The interval lies wholly below zero, for the dense network, at ranks
{dense_better}.

{dense_paper}

In the paper the nested network is within 1.2 points of its dense networks at every rank, and from rank 8 on these have
the figures of its specialists. Equal FLOPs alone do not explain parity at small ranks: a layer of rank r passes r
numbers on, a dense one of the same FLOPs passes more.

## Against a network trained at R only and truncated

{truncated}

The truncated network is the specialist of rank R cut to rank r (the paper's Fig. 2): nothing in its training orders its
components. The interval lies wholly above zero, for the nested network, at ranks {nested_better}.

{truncated_paper}

In the paper, too, a network that was trained at R only does not survive the cut. Its R is larger than ours, so at one
rank more of it is cut off.

## At ranks that training never saw

{untrained}

The nested network took no step at these ranks, which lie between those that it was trained at; the specialist was
trained at exactly that rank. The interval lies wholly below zero, for the specialist, at ranks {untrained_worse}.

Here the paper prints averages only (Table 1, two cross-entropies): 79 % over its trained ranks, 81 % over untrained
ones. Ours are {average_trained:.0f} % and {average_untrained:.0f} %; such averages say above all how many small ranks
are among them.

## Made with

{processor}, Python {python}, NumPy {numpy}, nsn_ref {nsn_ref}, BLAS threads: {threads}. The seeds, and the accuracy of
every model on every split, are in [digits.json](digits.json).
"""


def _table(rows, rival, record):
    dense = rival == "dense"
    head = ["rank", "FLOPs", *(["width", "its FLOPs"] if dense else []), "nested", rival, "difference", "95 % interval"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        rank, difference = str(row.rank), row.difference[rival]
        matched = [str(record["dense_widths"][rank]), f"{record['dense_flops'][rank]:,}"] if dense else []
        accuracies = [f"{row.accuracy[model]:.1f}" for model in ("nested", rival)]
        interval = [f"{difference.mean:+.2f}", f"{difference.low:+.2f} to {difference.high:+.2f}"]
        lines.append([rank, f"{record['flops'][rank]:,}", *matched, *accuracies, *interval])
    return _markdown(lines)


def _average(rows):
    return sum(row.accuracy["nested"] for row in rows) / len(rows)


def _ranks(rows):
    return ", ".join(str(row.rank) for row in rows) or "none"


def _paper(rival, rows):
    """The paper's accuracies of nested network and rival, and the difference beside ours."""
    ours = {row.rank: f"{row.difference[rival].mean:+.2f}" for row in rows}
    lines = [["rank", "nested (paper)", f"{rival} (paper)", "difference (paper)", "difference (here)"], ["---"] * 5]
    for rank, accuracy in PAPER[rival].items():
        nested = PAPER["nested"][rank]
        lines.append([str(rank), f"{nested:.1f}", f"{accuracy:.1f}", f"{nested - accuracy:+.1f}", ours.get(rank, "")])
    return _markdown(lines)


def _markdown(lines):
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
