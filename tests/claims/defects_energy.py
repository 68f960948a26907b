"""Defects of the energies, the layer and the bound of a deep network, and the tests of ENG that notice each."""

import numpy as np
from claims import test_eng, test_eng_deep
from claims.planted import Defect

from nsn_ref import kernels, ops
from nsn_ref.analysis import energy, interpolation


def normalised(right):
    """A layer that divides each a_i by its largest element."""

    def forward(x, A, B, b, rank):
        largest = abs(A).max(axis=1, keepdims=True)
        return right(x, A / (largest + (largest == 0)), B, b, rank)

    return forward


def untrained(net, params, x, labels):
    return net, net.init(np.random.default_rng(0), np.float64), x, labels


MODULES = (
    test_eng,
    test_eng_deep,
)
TABLES = {
    "ENG": [
        Defect(
            "the smallest component is left out",
            energy,
            "component_energies",
            lambda right: lambda A, B: right(A, B) * (np.arange(len(A)) != len(A) - 1),
            (
                test_eng.test_lemma_1,
                test_eng.test_lemma_1_cannot_be_improved,
                test_eng.test_change_between_two_ranks,
                test_eng.test_tails_bound_the_change_to_the_full_rank,
                test_eng.test_proposition_1,
            ),
        ),
        Defect(
            "norms are added",
            energy,
            "component_energies",
            lambda right: lambda A, B: sum(energy.factor_norms(A, B)),
            (
                test_eng.test_lemma_1_cannot_be_improved,
                test_eng.test_energy_does_not_depend_on_the_gauge,
                test_eng.test_energy_in_any_gauge,
            ),
        ),
        Defect(
            "the tail of rank r starts at component r + 2",
            energy,
            "tail_energies",
            lambda right: lambda A, B: np.append(right(A, B)[1:], 0.0),
            (test_eng.test_tails_bound_the_change_to_the_full_rank,),
        ),
        Defect(
            "every sequence counts as non-increasing",
            energy,
            "non_increasing_share",
            lambda right: lambda values: 1.0,
            (test_eng.test_assumption_1_by_choice_of_gauge,),
        ),
        Defect(
            "the layer normalises its rows",
            ops,
            "nested_linear_forward",
            normalised,
            (test_eng.test_any_row_norms_are_reached,),
        ),
        Defect(
            "the engine normalises its rows",
            kernels,
            "nested_linear_forward",
            normalised,
            (test_eng.test_assumption_1_by_choice_of_gauge,),
        ),
        Defect(
            "half of the bound",
            interpolation,
            "interpolation_bound",
            lambda right: lambda *args, **options: right(*args, **options) / 2,
            (test_eng_deep.test_bound_of_a_deep_network, test_eng_deep.test_bound_is_reached),
        ),
        Defect(
            "the energies are those of the first component",
            interpolation,
            "component_energies",
            lambda right: lambda A, B: right(A[:1], B[:, :1]),
            (test_eng_deep.test_bound_of_a_deep_network, test_eng_deep.test_bound_is_reached),
        ),
        Defect(
            "the ranks are taken for those of the other network",
            interpolation,
            "interpolation_bound",
            lambda right: lambda net, params, x, rank, other, **options: right(net, params, x, rank, rank, **options),
            (test_eng_deep.test_bound_of_a_trained_network,),
        ),
        Defect(
            "the network is not trained",
            test_eng_deep,
            "trained",
            lambda right: lambda: untrained(*right()),
            (test_eng_deep.test_trained_network_has_learnt,),
        ),
    ]
}
