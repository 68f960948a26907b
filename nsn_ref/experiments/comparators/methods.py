"""The methods by name."""

from typing import NamedTuple


class Method(NamedTuple):
    """What is known of a method before it is run."""

    label: str
    kind: str  # what its budgets are: a key of `KINDS`


# whether a method of this kind has a member of the FLOPs of each rank
KINDS = {
    "ranks": True,
    "widths": True,  # of all hidden layers
    "bottleneck": True,  # width of the first one
    "representation": False,  # width of the last one: the layers before it always cost the same
    "adapters": False,  # their ranks: merged, they cost nothing
}

# name of the module to method, in the order of tables
METHODS = {
    "nsn": Method("NSN", "ranks"),
    "nsn_sandwich": Method("NSN, sandwich, distilled", "ranks"),
    "specialists": Method("specialists, factorised", "ranks"),
    "truncation": Method("truncation", "ranks"),
    "svd": Method("whitened SVD", "ranks"),
    "sortednet": Method("SortedNet", "ranks"),
    "dense_specialists": Method("specialists, dense", "widths"),
    "slimmable": Method("slimmable", "widths"),
    "universally_slimmable": Method("universally slimmable", "widths"),
    "lcs_line": Method("LCS, line", "widths"),
    "lcs_point": Method("LCS, point", "widths"),
    "matformer": Method("MatFormer", "widths"),
    "deps": Method("delayed shrinking", "widths"),
    "split_computing": Method("split computing", "bottleneck"),
    "matryoshka": Method("Matryoshka heads", "representation"),
    "lora": Method("LoRA for each rank", "adapters"),
    "dylora": Method("DyLoRA", "adapters"),
}


def module(name):
    """The module of a method; it is imported, and Numba with it."""
    from nsn_ref.experiments.comparators import (
        dense_specialists,
        deps,
        dylora,
        lcs_line,
        lcs_point,
        lora,
        matformer,
        matryoshka,
        nsn,
        nsn_sandwich,
        slimmable,
        sortednet,
        specialists,
        split_computing,
        svd,
        truncation,
        universally_slimmable,
    )

    modules = (
        nsn, nsn_sandwich, specialists, truncation, svd, sortednet, dense_specialists, slimmable, universally_slimmable,
        lcs_line, lcs_point, matformer, deps, split_computing, matryoshka, lora, dylora,
    )  # fmt: skip
    return {each.__name__.rpartition(".")[2]: each for each in modules}[name]
