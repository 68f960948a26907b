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
    change = {kind: difference(each["nested", kind][top], each["nested", kind][bottom]) for kind in KINDS}
    names = {key: f"{key[0]}: {key[1]}" for key in each}
    rows = [[r, *(f"{mean(by_rank[r]):.3f}" for by_rank in each.values())] for r in ranks]
    body = PAGE.format(
        setting=setting(records, paper="language models"),
        table=table(["rank", *names.values()], rows),
        bottom=bottom,
        top=top,
        cosine=interval(change["cosine"], 2),
        alignment=interval(change["centred alignment"], 2),
    )
    lines = {names[key]: {r: mean(by_rank[r]) for r in ranks} for key, by_rank in each.items()}
    return Page(body, {"similarity.png": against_rank("Neighbouring hidden layers", lines, "similarity")})
