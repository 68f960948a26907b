"""Defects of the counted costs and of what the operations cost, and the tests of CST that notice each."""

import math

from claims import test_cst
from claims.planted import Defect

from nsn_ref import ops
from nsn_ref.analysis import cost


def merged(right):
    """A nested layer that multiplies its factors out first."""

    def forward(x, A, B, b, rank):
        x @ (B[:, :rank] @ A[:rank]).T
        return right(x, A, B, b, rank)

    return forward


def rank_by_rank(right):
    """Several ranks one after another, each with a product of its own."""

    def forward(x, A, B, b, ranks):
        for rank in ranks:
            x @ A[:rank].T
        return right(x, A, B, b, ranks)

    return forward


def twice(right):
    """A backward pass that computes dh again."""

    def backward(dy, saved):
        dy.reshape(-1, dy.shape[-1]) @ saved.B
        return right(dy, saved)

    return backward


def costs_become(change):
    """A layer's cost with other multiply-adds: a function of the layer and its rank."""

    def wrong(right):
        def layer_cost(layer, rank=None, **options):
            found = right(layer, rank, **options)
            return found if rank is None else found._replace(multiply_adds=change(layer, rank))

        return layer_cost

    return wrong


MODULES = (test_cst,)
TABLES = {
    "CST": [
        Defect(
            "the break-even rank is rounded down",
            cost,
            "break_even_rank",
            lambda right: lambda d_in, d_out: math.floor(right(d_in, d_out)),
            (test_cst.test_break_even, test_cst.test_square_layers),
        ),
        Defect(
            "only the first factor costs",
            cost,
            "layer_cost",
            costs_become(lambda layer, rank: rank * layer.d_in * layer.positions),
            (
                test_cst.test_break_even,
                test_cst.test_break_even_by_counting,
                test_cst.test_cost_grows_with_the_rank,
                test_cst.test_full_rank_never_pays,
                test_cst.test_one_pass_costs_what_the_largest_rank_costs,
                test_cst.test_share_of_a_network,
                test_cst.test_share_of_a_network_by_counting,
            ),
        ),
        Defect(
            "the rank is not looked at",
            cost,
            "layer_cost",
            costs_become(lambda layer, rank: layer.R * (layer.d_in + layer.d_out) * layer.positions),
            (test_cst.test_cost_grows_with_the_rank, test_cst.test_share_of_a_network),
        ),
        Defect(
            "the layer multiplies its factors out",
            ops,
            "nested_linear_forward",
            merged,
            (test_cst.test_break_even_by_counting, test_cst.test_cost_grows_by_counting),
        ),
        Defect(
            "the backward pass computes dh twice",
            ops,
            "nested_linear_backward",
            twice,
            (test_cst.test_cost_grows_by_counting,),
        ),
        Defect(
            "several ranks run one by one",
            ops,
            "multirank_linear_forward",
            rank_by_rank,
            (test_cst.test_one_pass_costs_what_the_largest_rank_costs,),
        ),
        Defect(
            "what is saved is taken for what remains",
            cost,
            "transformer_share",
            lambda right: lambda shape, rank: 1 - right(shape, rank),
            (test_cst.test_share_of_a_decoder, test_cst.test_figure_7_prints_what_remains),
        ),
    ]
}
