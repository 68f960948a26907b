"""The page of `similarity`."""

from nsn_ref.experiments.experiment import Page
from nsn_ref.experiments.paper.figures import against_rank
from nsn_ref.experiments.paper.setting import setting
from nsn_ref.experiments.tables import choices, difference, interval, mean, table, values

KINDS = ("cosine", "centred alignment")
PAGE = """{setting}

The activations of neighbouring hidden layers, on held-out rows. The cosine is that of the two vectors of a row (the
paper measures a cosine between layers); it depends on the basis of each layer. Linear centred kernel alignment does
not. The factorised network is trained at R alone and cut.

{table}

![Similarity by rank](similarity.png)

In the paper the cosine falls with the rank (app. A.2, language models). Here it changes from rank {bottom} to rank
{top} by {cosine} in the nested network, and the alignment by {alignment}.

## What it means

The size of a cosine says little, for neighbouring layers have bases of their own. By the alignment, neighbouring
layers are {more} alike at rank {bottom} than at rank {top} in the nested network ({nested_bottom:.2f} and
{nested_top:.2f}), and {cut_more} alike in the one that was trained at R alone ({cut_bottom:.2f} and {cut_top:.2f}).
"""


def page(records):
    """Similarities by rank."""
    models = choices(records, "model")
    ranks = [int(r) for r in records[0]["result"]["cosine"]]
    each = {
        (model, kind): {r: values(records, kind, str(r), model=model) for r in ranks}
        for model in models
        for kind in KINDS
    }
    bottom, top = ranks[0], ranks[-1]
    at_ends = {model: [mean(each[model, KINDS[1]][r]) for r in (bottom, top)] for model in models}
    change = {kind: difference(each["nested", kind][top], each["nested", kind][bottom]) for kind in KINDS}
    names = {key: f"{key[0]}: {key[1]}" for key in each}
    rows = [[r, *(f"{mean(by_rank[r]):.3f}" for by_rank in each.values())] for r in ranks]
    body = PAGE.format(
        setting=setting(records, paper="language models"),
        table=table(["rank", *names.values()], rows),
        bottom=bottom,
        top=top,
        more="more" if at_ends["nested"][0] > at_ends["nested"][1] else "less",
        nested_bottom=at_ends["nested"][0],
        nested_top=at_ends["nested"][1],
        cut_more="more" if at_ends["factorised"][0] > at_ends["factorised"][1] else "less",
        cut_bottom=at_ends["factorised"][0],
        cut_top=at_ends["factorised"][1],
        cosine=interval(change["cosine"], 2),
        alignment=interval(change["centred alignment"], 2),
    )
    lines = {names[key]: {r: mean(by_rank[r]) for r in ranks} for key, by_rank in each.items()}
    return Page(body, {"similarity.png": against_rank("Neighbouring hidden layers", lines, "similarity")})
